import { createHash } from "node:crypto";
import { canonicalJson, type Json } from "../../base/json.ts";

/** Hex sha-256 of a text. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Hex sha-256 of a value, whatever the order of its keys. */
export function digest(value: unknown): string {
  return sha256(canonicalJson(value as Json));
}
