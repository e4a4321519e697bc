import { type Blob, blobHash, largeBytes, packBlob, type StoredBody, unpackBlob } from "../sql/packing.ts";
import type { Connection } from "./connection.ts";

export interface Bodies {
  /** Must be called inside the transaction that writes the reference. */
  store(text: string): StoredBody;
  load(body: StoredBody): string;
}

export function createBodies(connection: Connection): Bodies {
  const known = connection.one("SELECT 1 FROM blob WHERE hash = ?");
  const insert = connection.run("INSERT INTO blob (hash, enc, size, data) VALUES (?, ?, ?, ?)");
  const read = connection.one<Blob>("SELECT enc, data FROM blob WHERE hash = ?");

  return {
    store(text) {
      const plain = largeBytes(text);
      if (plain === null) return { text, blob: null };
      const digest = blobHash(plain);
      if (known(digest) === undefined) {
        const { enc, data } = packBlob(plain);
        insert(digest, enc, plain.length, data);
      }
      return { text: null, blob: digest };
    },
    load: (body) =>
      body.blob === null ? (body.text ?? "null") : unpackBlob(body.blob, read(body.blob) ?? null),
  };
}
