import type { Candidate } from "./candidates.ts";

/** How long to wait for a first token: three times what 95 of 100 calls take, within these bounds. */
const TAIL_FACTOR = 3;
const MIN_FIRST_TOKEN_MS = 2_500;
const MAX_FIRST_TOKEN_MS = 15_000;
/** Reading the prompt takes its time; long prompts raise the upper bound. */
const PREFILL_MS_PER_TOKEN = 0.3;
/** Nobody else could answer, so leaving early wins nothing: as long as the adapters wait. */
const ALONE_FIRST_TOKEN_MS = 240_000;

const MIN_IDLE_MS = 20_000;
const MAX_IDLE_MS = 90_000;

interface Waiting {
  readonly inputTokens: number;
  /** No other candidate fits the call. */
  readonly alone: boolean;
}

/** ms until a candidate's silence before its first token counts as a failure; twice as long at each further try. */
export function firstTokenLimit(candidate: Candidate, waiting: Waiting): number {
  const { inputTokens, alone } = waiting;
  const slow = candidate.traits.slowStartMs ?? 0;
  const normal = Math.max(MAX_FIRST_TOKEN_MS, slow, inputTokens * PREFILL_MS_PER_TOKEN);
  const ceiling = alone ? Math.max(ALONE_FIRST_TOKEN_MS, slow) : normal;
  const p95 = candidate.health.ttftP95(inputTokens);
  // Weights that were unloaded must be loaded again, whatever the last hundred calls took.
  if (p95 === null || slow > MAX_FIRST_TOKEN_MS) return ceiling;
  const adaptive = Math.max(MIN_FIRST_TOKEN_MS, TAIL_FACTOR * p95) * 2 ** candidate.tried;
  return Math.min(ceiling, adaptive);
}

/** ms of silence between tokens after which an answer counts as broken off. */
export function idleLimit(candidate: Candidate, alone: boolean): number {
  const p95 = candidate.health.stallP95;
  if (alone || p95 === null) return MAX_IDLE_MS;
  return Math.min(MAX_IDLE_MS, Math.max(MIN_IDLE_MS, TAIL_FACTOR * p95));
}
