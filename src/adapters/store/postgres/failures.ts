import { type ErrorCode, type Failure, FailureError, failure } from "../../../domain/errors.ts";
import { EntryRefused } from "../sql/encode.ts";

/** SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html) that mean something to us. */
const STATE = {
  untranslatable: "22021",
  uniqueViolation: "23505",
  readOnly: "25006",
  badPassword: "28P01",
  badRole: "28000",
  noDatabase: "3D000",
  noPrivilege: "42501",
  serialization: "40001",
  deadlock: "40P01",
  diskFull: "53100",
  tooLarge: "54000",
  lockTimeout: "55P03",
} as const;

const CORRUPT = /^XX00[12]$/;
/** Connection exceptions, operator intervention (shutdown, termination, start-up), too few resources. */
const GONE = /^(08...|57P..|25P03|53300)$/;
const CHOICES: ReadonlySet<string> = new Set([
  STATE.badPassword,
  STATE.badRole,
  STATE.noDatabase,
  STATE.noPrivilege,
]);

export function stateOf(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return null;
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}

/** What the system or the driver says of a connection that broke; the driver's own words have no code. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof FailureError || error instanceof EntryRefused) return false;
  const state = stateOf(error);
  if (state !== null) return GONE.test(state);
  if ("code" in error && typeof error.code === "string") return /^E[A-Z]+$/.test(error.code);
  return /connection|not queryable|timeout/i.test(error.message);
}

/** Two transactions met; one of them was asked to do all of its work again. */
export function isCollision(error: unknown): boolean {
  const state = stateOf(error);
  return state === STATE.deadlock || state === STATE.serialization || state === STATE.lockTimeout;
}

export function isUniqueViolation(error: unknown): boolean {
  return stateOf(error) === STATE.uniqueViolation;
}

/** What one entry did wrong, or `null` when the store itself failed and no entry can be written. */
export function entryFault(error: unknown): Failure | null {
  if (error instanceof EntryRefused) return error.failure;
  const state = stateOf(error);
  if (state === null) return null;
  const text = error instanceof Error ? error.message : String(error);
  if (state.startsWith("23")) return failure("internal", `the store refused the entry: ${text}`);
  if (state === STATE.tooLarge)
    return failure("payload_too_large", `a value is too large for the store: ${text}`);
  if (state.startsWith("22")) return failure("invalid_request", `a value cannot be stored: ${text}`);
  return null;
}

/** The store as a whole failed: PostgreSQL's error as a value of the catalogue. Other errors pass through unchanged. */
export function storeFailure(error: unknown, database: string): unknown {
  const fault = entryFault(error);
  if (fault !== null) return new FailureError(fault);
  const text = error instanceof Error ? error.message || String(error) : String(error);
  if (isConnectionLoss(error) || isCollision(error)) {
    return new FailureError(failure("unavailable", `the database ${database} cannot be reached: ${text}`));
  }
  const state = stateOf(error);
  if (state === null) return error;
  return new FailureError(failure(codeOf(state), `the database ${database} failed (${state}): ${text}`));
}

function codeOf(state: string): ErrorCode {
  if (state === STATE.diskFull) return "disk_full";
  if (state === STATE.readOnly) return "read_only";
  if (CORRUPT.test(state)) return "store_corrupt";
  return CHOICES.has(state) ? "invalid_config" : "unavailable";
}
