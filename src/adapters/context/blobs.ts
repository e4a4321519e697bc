import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import path from "node:path";
import { FailureError, failure } from "../../domain/errors.ts";
import { type GitCall, gitBytes } from "./git.ts";

/** Contents over this are not read; such a file is ranked by its path and history. */
export const MAX_CONTENT_BYTES = 1024 * 1024;

export type Content =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "too-large" }
  | { readonly kind: "missing" };

export interface BlobContent {
  readonly blob: string;
  readonly content: Content;
}

/**
 * The contents of many blobs through two git processes: one that tells sizes, one that reads what is small enough.
 * One body at a time is held. In a partial clone absent blobs are looked for first, since git stops at the first one.
 */
export async function* readBlobs(
  call: GitCall,
  blobs: readonly string[],
  partial: boolean,
): AsyncGenerator<BlobContent, void, undefined> {
  const here = partial && blobs.length > 0 ? await presentOf(call, blobs) : null;
  const asked: string[] = [];
  for (const blob of blobs) {
    if (here === null || here.has(blob)) asked.push(blob);
    else yield { blob, content: { kind: "missing" } };
  }
  if (asked.length === 0) return;
  const small: string[] = [];
  const sizes = new BatchReader(call, "--batch-check", asked);
  try {
    for (const blob of asked) {
      const size = blobSize(await sizes.header());
      if (size === null) yield { blob, content: { kind: "missing" } };
      else if (size > MAX_CONTENT_BYTES) yield { blob, content: { kind: "too-large" } };
      else small.push(blob);
    }
  } finally {
    await sizes.end();
  }
  yield* readBodies(call, small);
}

async function* readBodies(
  call: GitCall,
  blobs: readonly string[],
): AsyncGenerator<BlobContent, void, undefined> {
  if (blobs.length === 0) return;
  const bodies = new BatchReader(call, "--batch", blobs);
  try {
    for (const blob of blobs) {
      const size = blobSize(await bodies.header());
      if (size === null) yield { blob, content: { kind: "missing" } };
      else yield { blob, content: { kind: "bytes", bytes: await bodies.body(size) } };
    }
  } finally {
    await bodies.end();
  }
}

/** Those of the blobs that the repository itself holds. */
async function presentOf(call: GitCall, blobs: readonly string[]): Promise<ReadonlySet<string>> {
  const wanted = new Set(blobs);
  const present = new Set<string>();
  const args = ["cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)"];
  let rest = "";
  for await (const chunk of gitBytes(call, { args })) {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const name of lines) if (wanted.has(name)) present.add(name);
  }
  return present;
}

/** "<oid> blob <size>" → size; `null` for "<oid> missing" and for what is no blob. */
function blobSize(header: string): number | null {
  const found = /^[0-9a-f]+ blob (\d+)$/.exec(header);
  return found?.[1] === undefined ? null : Number(found[1]);
}

class BatchReader {
  readonly #chunks: AsyncGenerator<Buffer, void, undefined>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(call: GitCall, mode: "--batch" | "--batch-check", blobs: readonly string[]) {
    this.#chunks = gitBytes(call, { args: ["cat-file", mode], stdin: lines(blobs) });
  }

  async header(): Promise<string> {
    let end = this.#rest.indexOf(10);
    while (end < 0) {
      await this.#more();
      end = this.#rest.indexOf(10);
    }
    const header = this.#rest.toString("latin1", 0, end);
    this.#rest = this.#rest.subarray(end + 1);
    return header;
  }

  /** `size` bytes and the line end after them. */
  async body(size: number): Promise<Buffer> {
    const parts: Buffer[] = [this.#rest];
    let have = this.#rest.length;
    while (have < size + 1) {
      const next = await this.#chunks.next();
      if (next.done) throw endedEarly();
      parts.push(next.value);
      have += next.value.length;
    }
    const bytes = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = bytes.subarray(size + 1);
    return bytes.subarray(0, size);
  }

  async end(): Promise<void> {
    await this.#chunks.return();
  }

  async #more(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done) throw endedEarly();
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
  }
}

function* lines(blobs: readonly string[]): Generator<string, void, undefined> {
  const LINES_AT_ONCE = 512;
  for (let at = 0; at < blobs.length; at += LINES_AT_ONCE) {
    yield `${blobs.slice(at, at + LINES_AT_ONCE).join("\n")}\n`;
  }
}

function endedEarly(): FailureError {
  return new FailureError(failure("git_failed", "git cat-file ended before its last answer"));
}

/** A file of the work tree with the hash that git would give these bytes, so that a later commit of them is a cache hit. */
export async function readFromDisk(
  root: string,
  name: string,
  hashName: "sha1" | "sha256",
): Promise<BlobContent | null> {
  const handle = await open(path.join(root, name), "r").catch(() => null);
  if (handle === null) return null;
  try {
    const size = (await handle.stat()).size;
    if (size > MAX_CONTENT_BYTES) return { blob: "", content: { kind: "too-large" } };
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await handle.read(bytes, 0, size, 0);
    const read = bytes.subarray(0, bytesRead);
    const blob = createHash(hashName).update(`blob ${read.length}\0`).update(read).digest("hex");
    return { blob, content: { kind: "bytes", bytes: read } };
  } catch {
    return null;
  } finally {
    await handle.close();
  }
}
