/** Git's own rule: a NUL among the first bytes makes a file binary. */
const BINARY_LOOK_BYTES = 8_000;
const BOM = "\uFEFF";

export type Eol = "\n" | "\r\n";

/** A text file as the model sees it, and what is needed to write it back as it was. */
export interface TextFile {
  /** Lines end in "\n" alone, and there is no byte order mark. */
  readonly text: string;
  /** How most lines of the file end. */
  readonly eol: Eol;
  readonly bom: boolean;
  /** As it is, without the byte order mark. */
  readonly raw: string;
}

/** `null`: binary, or not UTF-8, so that writing it back would damage it. */
export function decodeText(bytes: Buffer): TextFile | null {
  if (bytes.subarray(0, BINARY_LOOK_BYTES).includes(0)) return null;
  let whole: string;
  try {
    whole = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
  const bom = whole.startsWith(BOM);
  const raw = bom ? whole.slice(1) : whole;
  return { raw, bom, eol: mostUsedEol(raw), text: raw.replaceAll("\r\n", "\n") };
}

export function encodeText(raw: string, bom: boolean): Buffer {
  return Buffer.from((bom ? BOM : "") + raw.toWellFormed(), "utf8");
}

export function withEol(text: string, eol: Eol): string {
  const plain = text.replaceAll("\r\n", "\n");
  return eol === "\n" ? plain : plain.replaceAll("\n", "\r\n");
}

/** Lines without their ends; a final newline makes no empty last line. */
export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Turns places in the text of `decodeText` into places in its `raw`. */
export function rawOffsets(file: TextFile): (offset: number) => number {
  if (file.raw.length === file.text.length) return (offset) => offset;
  const ends: number[] = [];
  for (let at = file.raw.indexOf("\r\n"); at >= 0; at = file.raw.indexOf("\r\n", at + 2))
    ends.push(at - ends.length);
  return (offset) => offset + countBelow(ends, offset);
}

/** How many of the ascending numbers are below a bound. */
function countBelow(numbers: readonly number[], bound: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

function mostUsedEol(raw: string): Eol {
  const pairs = raw.split("\r\n").length - 1;
  const all = raw.split("\n").length - 1;
  return pairs > all - pairs ? "\r\n" : "\n";
}
