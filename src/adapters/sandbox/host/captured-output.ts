/**
 * One stream of a command, kept as head and tail within a bound. What lies between is counted and dropped,
 * so that memory stays the same whatever the command prints.
 */
export class CapturedOutput {
  readonly #headMax: number;
  readonly #tailMax: number;
  #headBuffer: Buffer = Buffer.alloc(0);
  #headLength = 0;
  #ring: Buffer | null = null;
  #ringEnd = 0;
  #total = 0;

  constructor(maxBytes: number) {
    this.#tailMax = Math.floor(maxBytes / 2);
    this.#headMax = maxBytes - this.#tailMax;
  }

  add(chunk: Buffer): void {
    this.#total += chunk.length;
    const room = this.#headMax - this.#headLength;
    if (room > 0) this.#addToHead(chunk.subarray(0, room));
    const rest = chunk.subarray(Math.max(room, 0));
    if (rest.length > 0) this.#addToTail(rest);
  }

  /** The text, with a visible and exact mark where bytes were left out; never half a character at the cut. */
  finish(): { readonly text: string; readonly elidedBytes: number } {
    const tail = this.#tail();
    const allHead = this.#headBuffer.subarray(0, this.#headLength);
    if (allHead.length + tail.length === this.#total) {
      return { text: Buffer.concat([allHead, tail]).toString("utf8"), elidedBytes: 0 };
    }
    const head = allHead.subarray(0, wholeCharactersEnd(allHead));
    const end = tail.subarray(firstCharacterStart(tail));
    const elidedBytes = this.#total - head.length - end.length;
    const text = `${head.toString("utf8")}\n… [${elidedBytes} bytes left out] …\n${end.toString("utf8")}`;
    return { text, elidedBytes };
  }

  /** Copies, because a slice would keep the whole read buffer alive. */
  #addToHead(bytes: Buffer): void {
    const length = this.#headLength + bytes.length;
    if (length > this.#headBuffer.length) {
      const grown = Buffer.alloc(Math.min(this.#headMax, Math.max(length, this.#headBuffer.length * 2)));
      this.#headBuffer.copy(grown, 0, 0, this.#headLength);
      this.#headBuffer = grown;
    }
    bytes.copy(this.#headBuffer, this.#headLength);
    this.#headLength = length;
  }

  #addToTail(bytes: Buffer): void {
    if (this.#tailMax === 0) return;
    this.#ring ??= Buffer.alloc(this.#tailMax);
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#tailMax));
    const position = (this.#ringEnd + bytes.length - kept.length) % this.#tailMax;
    const first = Math.min(kept.length, this.#tailMax - position);
    kept.copy(this.#ring, position, 0, first);
    kept.copy(this.#ring, 0, first);
    this.#ringEnd += bytes.length;
  }

  #tail(): Buffer {
    if (this.#ring === null) return Buffer.alloc(0);
    if (this.#ringEnd <= this.#tailMax) return this.#ring.subarray(0, this.#ringEnd);
    const cut = this.#ringEnd % this.#tailMax;
    return Buffer.concat([this.#ring.subarray(cut), this.#ring.subarray(0, cut)]);
  }
}

const MAX_CONTINUATIONS = 3;

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0b1100_0000) === 0b1000_0000;
}

function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

/** Where the last whole character ends; bytes that are not UTF-8 at all are left as they are. */
function wholeCharactersEnd(bytes: Buffer): number {
  let start = bytes.length - 1;
  while (start > 0 && bytes.length - start <= MAX_CONTINUATIONS && isContinuation(bytes[start])) start -= 1;
  const lead = bytes[start];
  if (lead === undefined || lead < 0xc0) return bytes.length;
  return start + sequenceLength(lead) > bytes.length ? start : bytes.length;
}

function firstCharacterStart(bytes: Buffer): number {
  let start = 0;
  while (start < MAX_CONTINUATIONS && isContinuation(bytes[start])) start += 1;
  return start;
}
