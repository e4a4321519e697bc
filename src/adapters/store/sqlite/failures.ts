import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import { type ErrorCode, type Failure, FailureError, failure } from "../../../domain/errors.ts";
import { EntryRefused } from "../sql/encode.ts";

/** Primary result codes of SQLite (https://sqlite.org/rescode.html) that mean something to us. */
const CODE = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  tooBig: 18,
  constraint: 19,
  mismatch: 20,
  notADatabase: 26,
} as const;

function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return null;
  return error.errcode & 0xff;
}

/** What one entry did wrong, or `null` when the store itself failed and no entry can be written. */
export function entryFault(error: unknown): Failure | null {
  if (error instanceof EntryRefused) return error.failure;
  const code = resultCode(error);
  const text = error instanceof Error ? error.message : String(error);
  if (code === CODE.constraint) return failure("internal", `the store refused the entry: ${text}`);
  if (code === CODE.tooBig)
    return failure("payload_too_large", `a value is too large for the store: ${text}`);
  // A value of a type that no column takes.
  if (code === CODE.mismatch || isInvalidArgument(error)) {
    return failure("invalid_request", `a value cannot be stored: ${text}`);
  }
  return null;
}

function isInvalidArgument(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && error.code === "ERR_INVALID_ARG_TYPE";
}

/** The store as a whole failed: SQLite's error as a value of the catalogue. Other errors pass through unchanged. */
export function storeFailure(error: unknown, path: string): unknown {
  const fault = entryFault(error);
  if (fault !== null) return new FailureError(fault);
  const code = resultCode(error);
  if (code === null || !(error instanceof Error)) return error;
  return new FailureError(failure(...meaning(code, path, error.message)));
}

/** SQLite says "cannot open" of a folder it cannot make its own files in. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code !== "ENOENT";
  }
}

function meaning(code: number, path: string, text: string): [ErrorCode, string] {
  const subject = `the database ${path}`;
  switch (code) {
    case CODE.full:
      return ["disk_full", `${subject} cannot grow: ${text}`];
    case CODE.readOnly:
      return ["read_only", `${subject} cannot be written: ${text}`];
    case CODE.corrupt:
    case CODE.notADatabase:
      return ["store_corrupt", `${subject} is damaged: ${text}`];
    case CODE.busy:
    case CODE.locked:
      return ["unavailable", `${subject} is locked by another process: ${text}`];
    case CODE.cantOpen:
      return [isReadOnly(path) ? "read_only" : "unavailable", `${subject} cannot be opened: ${text}`];
    default:
      return ["unavailable", `${subject} failed: ${text}`];
  }
}
