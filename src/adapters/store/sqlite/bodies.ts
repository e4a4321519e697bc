import { hash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { FailureError, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { Connection } from "./connection.ts";

/** JSON text either in the row itself or, when it is large, by the hash of its bytes. Exactly one is set. */
export interface StoredBody {
  readonly text: string | null;
  readonly blob: Uint8Array | null;
}

export interface Bodies {
  /** Must be called inside the transaction that writes the reference. */
  store(text: string): StoredBody;
  load(body: StoredBody): string;
}

/** UTF-8 takes at most three bytes for one UTF-16 unit. */
const SURELY_INLINE_CHARS = Math.floor(LIMITS.inlineBodyBytes / 3);

export function createBodies(connection: Connection): Bodies {
  const known = connection.one("SELECT 1 FROM blob WHERE hash = ?");
  const insert = connection.run("INSERT INTO blob (hash, enc, size, data) VALUES (?, ?, ?, ?)");
  const read = connection.one<{ enc: string; data: Uint8Array }>("SELECT enc, data FROM blob WHERE hash = ?");

  return {
    store(text) {
      if (text.length <= SURELY_INLINE_CHARS || Buffer.byteLength(text) <= LIMITS.inlineBodyBytes) {
        return { text, blob: null };
      }
      const plain = Buffer.from(text);
      const digest = hash("sha256", plain, "buffer");
      if (known(digest) === undefined) {
        const packed = zstdCompressSync(plain);
        const smaller = packed.length < plain.length;
        insert(digest, smaller ? "zstd" : "plain", plain.length, smaller ? packed : plain);
      }
      return { text: null, blob: digest };
    },

    load(body) {
      if (body.blob === null) return body.text ?? "null";
      const row = read(body.blob);
      const name = Buffer.from(body.blob).toString("hex");
      if (row === undefined) throw new FailureError(failure("store_corrupt", `the blob ${name} is missing`));
      const bytes = row.enc === "zstd" ? zstdDecompressSync(row.data) : Buffer.from(row.data);
      if (hash("sha256", bytes, "hex") !== name) {
        throw new FailureError(failure("store_corrupt", `the blob ${name} does not match its hash`));
      }
      return bytes.toString("utf8");
    },
  };
}
