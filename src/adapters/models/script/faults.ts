import { createHash } from "node:crypto";
import type { ErrorCode } from "../../../domain/errors.ts";
import type { Choice } from "./choose.ts";
import type { FaultKind, Turn } from "./schema.ts";
import type { Sent } from "./sent.ts";

/** What each fault must be called by whoever meets it. `hang` never ends by itself: it is called so by a time limit. */
export const FAULT_CODES: Readonly<Record<FaultKind, ErrorCode>> = {
  overloaded: "model_overloaded",
  rate_limited: "model_rate_limited",
  unavailable: "model_unavailable",
  auth: "model_auth",
  invalid_request: "model_invalid_request",
  context_overflow: "model_context_overflow",
  refused: "model_refused",
  truncated: "model_truncated",
  reset: "model_truncated",
  empty: "model_truncated",
  no_usage: "model_truncated",
  error_first: "model_overloaded",
  error_mid: "model_overloaded",
  bad_reply: "model_bad_reply",
  html: "model_bad_reply",
  stall: "model_timeout",
  hang: "model_timeout",
};

export interface Fault {
  readonly kind: FaultKind;
  readonly retryAfterMs?: number;
}

const MAX_REMEMBERED = 10_000;

/**
 * Counts the faults that were played, in memory and by request: a failed call leaves no trace in the history, so
 * nothing that is sent can tell the second try from the first. A new process starts to count again.
 */
export class FaultLedger {
  readonly #played = new Map<string, number>();

  /** The fault this request meets now, or `null` when it has met the turn's fault often enough. */
  next(choice: Choice, sent: Sent): Fault | null {
    const { fault } = choice.turn;
    if (fault === undefined) return null;
    const key = requestKey(choice, sent);
    const played = this.#played.get(key) ?? 0;
    if (played >= allowed(choice.turn)) return null;
    this.#played.set(key, played + 1);
    const oldest = this.#played.keys().next();
    if (this.#played.size > MAX_REMEMBERED && oldest.done !== true) this.#played.delete(oldest.value);
    const retryAfterMs = "retry_after_ms" in fault ? fault.retry_after_ms : undefined;
    return retryAfterMs === undefined ? { kind: fault.kind } : { kind: fault.kind, retryAfterMs };
  }
}

/** Once where an answer follows; for ever where the fault is all there is. */
function allowed(turn: Turn): number {
  const times = turn.fault !== undefined && "times" in turn.fault ? turn.fault.times : undefined;
  if (times === "always") return Number.POSITIVE_INFINITY;
  if (times !== undefined) return times;
  return turn.text === undefined && turn.tool_calls === undefined ? Number.POSITIVE_INFINITY : 1;
}

function requestKey(choice: Choice, sent: Sent): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([choice.label, sent.system, sent.messages]));
  return hash.digest("hex");
}
