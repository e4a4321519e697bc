import { type DiffEntry, PATCH_FLAGS } from "./diff.ts";
import { refuse } from "./failures.ts";
import type { AddedText } from "./secrets.ts";
import { SECRET_LIMITS } from "./secrets.ts";
import type { Opened } from "./stage.ts";

/** git's own test for binary files looks at as many bytes. */
const BINARY_PEEK_BYTES = 8_000;
const MAX_BLOB_BYTES = 16_777_216;

/** Every line that a commit would add, with its number in the new file. */
export async function addedText(
  opened: Opened,
  sides: readonly [string, string],
  entries: readonly DiffEntry[],
): Promise<readonly AddedText[]> {
  const { git, signal } = opened.context;
  const patch = await git.run(["diff-tree", ...PATCH_FLAGS, "-U0", "--no-renames", ...sides], {
    scope: opened.scope,
    signal,
    maxBytes: SECRET_LIMITS.scannedChars,
  });
  const files = parseAdded(patch.text);
  for (const entry of entries) {
    // An attribute can call a text file binary, and so keep its lines out of every patch.
    if (entry.binary && entry.status !== "deleted") {
      const text = await blobText(opened, entry);
      if (text !== null) files.push({ path: entry.path, lines: numbered(text) });
    }
  }
  return files;
}

async function blobText(opened: Opened, { path, newId }: DiffEntry): Promise<string | null> {
  const { git, signal } = opened.context;
  const call = { scope: opened.scope, signal };
  const size = Number((await git.run(["cat-file", "-s", newId], call)).text);
  if (size > MAX_BLOB_BYTES) return null;
  const { bytes } = await git.run(["cat-file", "blob", newId], { ...call, maxBytes: MAX_BLOB_BYTES });
  if (bytes.subarray(0, BINARY_PEEK_BYTES).includes(0)) return null;
  if (bytes.length > SECRET_LIMITS.scannedChars)
    refuse("limit_exceeded", `${path} is too large to be scanned.`);
  return bytes.toString("utf8");
}

function numbered(text: string): AddedText["lines"] {
  return text.split("\n").map((line, i) => ({ line: i + 1, text: line }));
}

/** Reads a patch without context lines. A file's name is in its `+++` line, quoted when it holds odd characters. */
export function parseAdded(patch: string): AddedText[] {
  const files: { path: string; lines: { line: number; text: string }[] }[] = [];
  let line = 0;
  let left = 0;
  for (const row of patch.split("\n")) {
    if (left > 0 && row.startsWith("+")) {
      files.at(-1)?.lines.push({ line, text: row.slice(1).replace(/\r$/, "") });
      line += 1;
      left -= 1;
      continue;
    }
    const hunk = /^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@/.exec(row);
    if (hunk !== null) {
      line = Number(hunk[1]);
      left = Number(hunk[2] ?? 1);
    } else if (left === 0 && row.startsWith("+++ ")) {
      files.push({ path: unquote(row.slice(4)), lines: [] });
    }
  }
  return files.filter(({ lines }) => lines.length > 0);
}

function unquote(name: string): string {
  const plain = name.replace(/\t$/, "");
  if (!plain.startsWith('"')) return plain.replace(/^b\//, "");
  const bytes = plain
    .slice(1, -1)
    .split(/(\\(?:[0-7]{3}|.))/)
    .map((part) => {
      if (!part.startsWith("\\")) return Buffer.from(part);
      const code = part.slice(1);
      const octal = /^[0-7]{3}$/.test(code);
      return octal ? Buffer.of(Number.parseInt(code, 8)) : Buffer.from(ESCAPES[code] ?? code);
    });
  return Buffer.concat(bytes).toString("utf8").replace(/^b\//, "");
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  t: "\t",
  n: "\n",
  v: "\v",
  f: "\f",
  r: "\r",
};
