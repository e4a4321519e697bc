import type { GatewayRequest } from "../contracts/model-gateway.ts";
import type { Price } from "../contracts/price-source.ts";
import type { Failure } from "../domain/errors.ts";
import { NO_USAGE } from "../domain/message.ts";
import {
  type CandidateFacts,
  type Choice,
  choose,
  type Draws,
  type Needs,
  type QualityTier,
  type RoutingPolicy,
  unfit,
} from "../domain/routing.ts";
import { type ModelTraits, qualityFor } from "./catalogue.ts";
import type { ModelHealth } from "./health.ts";
import type { House } from "./house.ts";
import { costMicros } from "./prices.ts";
import type { Target } from "./route.ts";

const CHARS_PER_TOKEN = 4;
/** Schemas of tools are not serialised to be measured; this is what one commonly is. */
const CHARS_PER_TOOL_SCHEMA = 400;
/** Answers are seldom as long as they may be. */
const EXPECTED_OUTPUT_TOKENS = 1_000;
const LOWEST_TIER: QualityTier = 1;

/** A target with what is known of it, for the length of one call. */
export interface Candidate {
  readonly target: Target;
  readonly provider: string;
  readonly model: string;
  readonly traits: ModelTraits;
  readonly price: Price | null;
  readonly health: ModelHealth;
  /** Failed attempts in this call. */
  tried: number;
  /** ms since the epoch: the provider asked this call not to come back before. */
  notBefore: number;
  /** Why no budget has room for it in this call; asked anew before each attempt. */
  overBudget: Failure | null;
}

export function candidateOf(house: House, target: Target): Candidate {
  const provider = target.entry.provider.name;
  const { model } = target;
  const { traits, price } = house.book.of(provider, model);
  const health = house.health.of(provider, model);
  health.consider();
  return {
    target,
    provider,
    model,
    traits,
    price,
    health,
    tried: 0,
    notBefore: 0,
    overBudget: null,
  };
}

/** Rough, and the same for every model. */
export function estimateInputTokens(request: GatewayRequest): number {
  let chars = request.system.length;
  for (const message of request.messages) {
    if (message.role === "tool") for (const result of message.results) chars += result.text.length;
    else chars += message.text.length;
  }
  for (const tool of request.tools) chars += tool.description.length + CHARS_PER_TOOL_SCHEMA;
  return estimateTokens(chars);
}

export function estimateTokens(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN);
}

export interface Question {
  readonly house: House;
  readonly request: GatewayRequest;
  readonly policy: RoutingPolicy;
  readonly inputTokens: number;
  readonly draws: Draws;
}

/** Ranks the candidates as they are at this moment. */
export function rank(candidates: readonly Candidate[], question: Question): Choice {
  const { house, request, inputTokens } = question;
  const { routing } = house;
  const needs = needsOf({ request, routing, contextTokens: inputTokens + request.maxOutputTokens });
  const facts = candidates.map((candidate) => factsOf(candidate, question));
  return choose(question.policy, needs, { candidates: facts, draws: question.draws });
}

/** What an agent asks for may be more than the house's rule, never less. */
function strictest(...tiers: readonly (QualityTier | undefined)[]): QualityTier {
  return Math.max(LOWEST_TIER, ...tiers.map((tier) => tier ?? LOWEST_TIER)) as QualityTier;
}

interface Asked {
  readonly request: GatewayRequest;
  readonly routing: House["routing"];
}

function needsOf({ request, routing, contextTokens }: Asked & { readonly contextTokens: number }): Needs {
  return {
    tools: request.tools.length > 0,
    json: request.json !== undefined,
    contextTokens,
    minQuality: strictest(request.minQuality, routing.minQuality),
    allow: routing.allow ?? [],
    deny: routing.deny ?? [],
    unknownPrice: routing.unknownPrice ?? "allow",
    ...(routing.tenantAllow !== undefined && { tenantAllow: routing.tenantAllow }),
    ...(routing.regions !== undefined && { regions: routing.regions }),
  };
}

/**
 * The largest context window among the candidates that may take the call otherwise, in tokens; `null` when one of them
 * has a window of unknown size, or there is none.
 */
export function roomOf(facts: readonly CandidateFacts[], asked: Asked): number | null {
  const needs = needsOf({ ...asked, contextTokens: 0 });
  const able = facts.filter((one) => unfit(one, needs) === null);
  if (able.length === 0) return null;
  return able.reduce<number | null>(
    (most, { contextTokens }) =>
      most === null || contextTokens === null ? null : Math.max(most, contextTokens),
    0,
  );
}

export function factsOf(
  candidate: Candidate,
  question: Pick<Question, "request" | "inputTokens">,
): CandidateFacts {
  const { traits, health, price } = candidate;
  const { request, inputTokens } = question;
  return {
    provider: candidate.provider,
    model: candidate.model,
    tools: traits.tools,
    json: traits.json,
    contextTokens: traits.contextTokens,
    quality: qualityFor(traits, request.stage),
    ...(traits.region !== undefined && { region: traits.region }),
    ttftMs: health.ttftMs(inputTokens),
    failMs: health.failMs,
    errorRate: health.errorRate,
    costMicros: expectedMicros(price, inputTokens, request.maxOutputTokens),
    blocked: health.blocked,
    probe: health.probe,
    tried: candidate.tried,
    ...(candidate.overBudget !== null && { overBudget: candidate.overBudget.message }),
  };
}

/** Of a call that answers as long as calls commonly do; `null` for an unknown price. */
export function expectedMicros(
  price: Price | null,
  inputTokens: number,
  maxOutputTokens: number,
): number | null {
  const output = Math.min(maxOutputTokens, EXPECTED_OUTPUT_TOKENS);
  return costMicros(price, { ...NO_USAGE, input: inputTokens, output });
}
