import { hash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { FailureError, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";

/** JSON text either in the row itself or, when it is large, by the hash of its bytes. Exactly one is set. */
export interface StoredBody {
  readonly text: string | null;
  readonly blob: Uint8Array | null;
}

export interface Blob {
  readonly enc: string;
  readonly data: Uint8Array;
}

/** UTF-8 takes at most three bytes for one UTF-16 unit. */
const SURELY_INLINE_CHARS = Math.floor(LIMITS.inlineBodyBytes / 3);

/** The bytes of a text that is too large for its row, or `null` when it is not. */
export function largeBytes(text: string): Buffer | null {
  if (text.length <= SURELY_INLINE_CHARS) return null;
  return Buffer.byteLength(text) <= LIMITS.inlineBodyBytes ? null : Buffer.from(text);
}

/** The content address of a blob: SHA-256 of its plain bytes. */
export function blobHash(plain: Uint8Array): Buffer {
  return hash("sha256", plain, "buffer");
}

export function packBlob(plain: Uint8Array): Blob {
  const packed = zstdCompressSync(plain);
  return packed.length < plain.length ? { enc: "zstd", data: packed } : { enc: "plain", data: plain };
}

/** Throws `store_corrupt` when the blob is missing or is not what its hash says. */
export function unpackBlob(address: Uint8Array, blob: Blob | null): string {
  const name = Buffer.from(address).toString("hex");
  if (blob === null) throw new FailureError(failure("store_corrupt", `the blob ${name} is missing`));
  const bytes = blob.enc === "zstd" ? zstdDecompressSync(blob.data) : Buffer.from(blob.data);
  if (hash("sha256", bytes, "hex") !== name) {
    throw new FailureError(failure("store_corrupt", `the blob ${name} does not match its hash`));
  }
  return bytes.toString("utf8");
}
