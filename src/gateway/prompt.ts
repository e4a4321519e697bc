import type { CallRecord, GatewayRequest } from "../contracts/model-gateway.ts";
import { capPrompt } from "../domain/cap-prompt.ts";
import { type Candidate, estimateInputTokens, factsOf, roomOf } from "./candidates.ts";
import type { House } from "./house.ts";

/** Four characters a token are the most that text is worth; code has about three. What is cut shall fit then, too. */
const SAFE_CHARS_PER_TOKEN = 3;

export type PromptRecord = Pick<CallRecord, "redacted" | "capped">;

/** A request as it will be sent, and what was done to it. */
export interface Prepared {
  readonly request: GatewayRequest;
  /** Of the request as it will be sent. */
  readonly inputTokens: number;
  readonly record: PromptRecord;
}

/** Before every call, whoever makes it: secrets are taken out, and what no candidate has room for is cut visibly. */
export function prepare(house: House, asked: GatewayRequest, candidates: readonly Candidate[]): Prepared {
  const { request, redacted } = house.censor.clean(asked);
  const record: PromptRecord = redacted === null ? {} : { redacted };
  const inputTokens = estimateInputTokens(request);
  if (asked.tooLong === "fail") return { request, inputTokens, record };
  const capped = capToRoom(house, { request, inputTokens }, candidates);
  if (capped === null) return { request, inputTokens, record };
  const { afterTokens } = capped.record;
  return { request: capped.request, inputTokens: afterTokens, record: { ...record, capped: capped.record } };
}

/** `null` when somebody has room for all of it, or nobody would even for what is left. */
function capToRoom(
  house: House,
  { request, inputTokens: beforeTokens }: Pick<Prepared, "request" | "inputTokens">,
  candidates: readonly Candidate[],
): { readonly request: GatewayRequest; readonly record: NonNullable<CallRecord["capped"]> } | null {
  const neededTokens = beforeTokens + request.maxOutputTokens;
  // The common case, before any candidate is looked at more closely: whoever may take it has room for it.
  if (candidates.every(({ traits }) => (traits.contextTokens ?? neededTokens) >= neededTokens)) return null;
  const facts = candidates.map((candidate) => factsOf(candidate, { request, inputTokens: beforeTokens }));
  const window = roomOf(facts, { request, routing: house.routing });
  if (window === null || window >= neededTokens) return null;
  const budgetTokens = window - request.maxOutputTokens;
  const fixedTokens = estimateInputTokens({ ...request, messages: [] });
  const { messages, cuts } = capPrompt(request.messages, (budgetTokens - fixedTokens) * SAFE_CHARS_PER_TOKEN);
  const smaller = { ...request, messages };
  const afterTokens = estimateInputTokens(smaller);
  if (cuts === null || afterTokens > budgetTokens) return null;
  return { request: smaller, record: { budgetTokens, beforeTokens, afterTokens, ...cuts } };
}
