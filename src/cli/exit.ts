import { ERRORS, type Failure } from "../domain/errors.ts";

/** What the process says when it ends; documented in docs/reference/cli.md. */
export const EXIT = {
  ok: 0,
  /** The run, or what was asked for, failed. */
  failed: 1,
  /** Wrong usage or input: nothing was done. */
  usage: 2,
  /** No server, no store, no model: try again later. */
  unavailable: 3,
  /** The run was canceled. */
  canceled: 4,
  /** Something waits for a person. */
  waiting: 5,
  interrupted: 130,
} as const;

export function exitCodeOf(failure: Failure): number {
  const entry = (ERRORS as Readonly<Record<string, { readonly status: number } | undefined>>)[failure.code];
  if (failure.code === "canceled") return EXIT.canceled;
  if (entry === undefined || entry.status === 500) return EXIT.failed;
  if (entry.status >= 502 || entry.status === 429) return EXIT.unavailable;
  return EXIT.usage;
}
