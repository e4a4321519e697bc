import { type Failure, failure } from "./errors.ts";

/** What counts how much when candidates are compared. Each is ≥ 0; only their ratios matter. */
export interface Weights {
  readonly quality: number;
  readonly latency: number;
  readonly cost: number;
}

export const POLICY_NAMES = ["latency-first", "quality-first", "cost-first"] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

export interface RoutingPolicy {
  readonly name: PolicyName | "custom";
  readonly weights: Weights;
  /** Share of calls that go to another candidate than the best, so that its figures stay true. */
  readonly explore: number;
}

/** One step of quality outweighs a factor of latency or cost: `quality-first` e^3.3 ≈ 28, `cost-first` e^0.1 ≈ 1.1. */
export const ROUTING_POLICIES: Readonly<Record<PolicyName, RoutingPolicy>> = {
  "latency-first": {
    name: "latency-first",
    weights: { quality: 0.3, latency: 1, cost: 0.05 },
    explore: 0.03,
  },
  "quality-first": {
    name: "quality-first",
    weights: { quality: 10, latency: 0.3, cost: 0.1 },
    explore: 0.02,
  },
  "cost-first": { name: "cost-first", weights: { quality: 0.3, latency: 0.1, cost: 1 }, explore: 0.02 },
};

/** 1 small · 2 solid · 3 strong · 4 the best there is. */
export type QualityTier = 1 | 2 | 3 | 4;
const TOP_TIER = 4;

/** Why a candidate should rather not be used now; the least bad first. */
export const BLOCKS = ["full", "limited", "open", "quarantined"] as const;
export type BlockKind = (typeof BLOCKS)[number];

export interface Block {
  readonly kind: BlockKind;
  readonly detail: string;
  /** Its failures are told at once: where all others are sure to refuse, it is worth a try. */
  readonly failsFast?: boolean;
}

/** All that is known of a candidate when it is chosen. */
export interface CandidateFacts {
  readonly provider: string;
  readonly model: string;
  readonly tools: boolean;
  readonly json: boolean;
  /** Tokens; `null` when unknown, which excludes nothing. */
  readonly contextTokens: number | null;
  readonly quality: QualityTier;
  /** Where what it is sent is worked on; absent when unknown. */
  readonly region?: string;
  /** Expected time to the first token of an attempt that succeeds, and time lost by one that fails; ms. */
  readonly ttftMs: number;
  readonly failMs: number;
  /** Share of attempts that fail, in [0, 1). */
  readonly errorRate: number;
  /** Micro-US-dollars expected of this call; `null` when the price is unknown. */
  readonly costMicros: number | null;
  readonly blocked: Block | null;
  /** It was taken out and may now be tried by this one call. */
  readonly probe: boolean;
  /** Failed attempts in this call. */
  readonly tried: number;
  /** Why no budget has room for it; absent when it was not asked for or there is. */
  readonly overBudget?: string;
}

/** What the call must have. Nothing in here is ever traded for speed or price. */
export interface Needs {
  readonly tools: boolean;
  readonly json: boolean;
  readonly contextTokens: number;
  readonly minQuality: QualityTier;
  /** Patterns as `provider/model`, `provider/*`, `*`; an empty `allow` allows all, and `deny` wins. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Of the tenant: a model must be on both lists. */
  readonly tenantAllow?: readonly string[];
  /** Of which one must be the model's; absent or empty means any, also an unknown one. */
  readonly regions?: readonly string[];
  readonly unknownPrice: "allow" | "deny";
}

/** Uniform in [0, 1). */
export interface Draws {
  readonly explore: number;
  readonly pick: number;
}

export interface ScoredCandidate {
  readonly provider: string;
  readonly model: string;
  /** Utility, higher is better; `null` when it was excluded. */
  readonly score: number | null;
  /** Why it cannot or should not be used. */
  readonly excluded?: string;
}

export interface Choice {
  /** Indices of the candidates in the order in which they should be used; empty when none may be. */
  readonly order: readonly number[];
  readonly candidates: readonly ScoredCandidate[];
  readonly reason: string;
}

const MIN_MS = 1;
const MIN_COST_MICROS = 1;
/** An error rate of 1 would make every comparison infinite. */
const MAX_ERROR_RATE = 0.95;
/** How much exploration prefers those near the best: odds fall with the utility lost, e^−2 for each unit. */
const EXPLORE_SHARPNESS = 2;
const SCORE_DIGITS = 10_000;

/** ms to the first token, counting what failing first would cost: t + p/(1−p)·t_fail. */
export function effectiveTtft(facts: Pick<CandidateFacts, "ttftMs" | "failMs" | "errorRate">): number {
  const p = Math.min(facts.errorRate, MAX_ERROR_RATE);
  return Math.max(MIN_MS, facts.ttftMs + (p / (1 - p)) * facts.failMs);
}

/** U = w_q·Q − w_l·log(TTFT_eff) − w_c·log(cost), with Q in [0, 1]. */
export function utility(weights: Weights, facts: CandidateFacts, costMicros: number): number {
  const quality = (facts.quality - 1) / (TOP_TIER - 1);
  return (
    weights.quality * quality -
    weights.latency * Math.log(effectiveTtft(facts)) -
    weights.cost * Math.log(Math.max(MIN_COST_MICROS, costMicros))
  );
}

/** Which rule of the call a candidate breaks, or `null`. */
export function unfit(facts: CandidateFacts, needs: Needs): string | null {
  const name = `${facts.provider}/${facts.model}`;
  const denied = needs.deny.find((pattern) => matches(pattern, name));
  if (denied !== undefined) return `denied by "${denied}"`;
  if (!isAllowed(needs.allow, name)) return "not in the list of allowed models";
  if (!isAllowed(needs.tenantAllow ?? [], name)) return "not in the tenant's list of allowed models";
  const { regions = [] } = needs;
  if (regions.length > 0 && (facts.region === undefined || !regions.includes(facts.region))) {
    return `region ${facts.region ?? "unknown"}, ${regions.join(" or ")} needed`;
  }
  if (needs.tools && !facts.tools) return "cannot call tools";
  if (needs.json && !facts.json) return "cannot answer in JSON";
  if (facts.contextTokens !== null && facts.contextTokens < needs.contextTokens) {
    return `context window of ${facts.contextTokens} tokens, ${needs.contextTokens} needed`;
  }
  if (facts.quality < needs.minQuality) return `quality tier ${facts.quality}, ${needs.minQuality} needed`;
  if (needs.unknownPrice === "deny" && facts.costMicros === null) return "its price is unknown";
  return facts.overBudget ?? null;
}

function isAllowed(patterns: readonly string[], name: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => matches(pattern, name));
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/**
 * Hard constraints first, then utility. A candidate that is blocked gives way to every one that is not, but the last is
 * never thrown out: when all are blocked, the least bad comes first, and the reason says so.
 */
export function choose(
  policy: RoutingPolicy,
  needs: Needs,
  of: { readonly candidates: readonly CandidateFacts[]; readonly draws: Draws },
): Choice {
  const { candidates, draws } = of;
  const misfits = candidates.map((facts) => unfit(facts, needs));
  const fallbackCost = dearest(candidates);
  const scores = candidates.map((facts) => utility(policy.weights, facts, facts.costMicros ?? fallbackCost));
  const fit = candidates.flatMap((_, index) => (misfits[index] === null ? [index] : []));
  const at = (index: number) => candidates[index] as CandidateFacts;
  const score = (index: number) => scores[index] as number;
  const ranked = fit.toSorted((a, b) => burden(at(a)) - burden(at(b)) || score(b) - score(a));
  const scored = candidates.map((facts, index): ScoredCandidate => {
    const { provider, model, blocked } = facts;
    const excluded = misfits[index] ?? (blocked === null ? null : `${blocked.kind}: ${blocked.detail}`);
    const shown = misfits[index] === null ? Math.round(score(index) * SCORE_DIGITS) / SCORE_DIGITS : null;
    return excluded === null
      ? { provider, model, score: shown }
      : { provider, model, score: shown, excluded };
  });
  const first = ranked[0];
  if (first === undefined) return { order: [], candidates: scored, reason: "no candidate fits the call" };
  const other = divert(ranked, { policy, draws, at, score });
  const order = other === null ? ranked : [other.index, ...ranked.filter((index) => index !== other.index)];
  return { order, candidates: scored, reason: other?.reason ?? reasonFor(policy, at(first), fit.length) };
}

/** A model of unknown price is compared as if it were as dear as the dearest. */
function dearest(candidates: readonly CandidateFacts[]): number {
  return Math.max(MIN_COST_MICROS, ...candidates.map((facts) => facts.costMicros ?? 0));
}

/** Untried and free first, then what failed already in this call, then what is blocked. */
function burden({ blocked, tried }: CandidateFacts): number {
  return (blocked === null ? 0 : weightOf(blocked)) + (tried === 0 ? 0 : 2 - 1 / tried);
}

/**
 * Part of the calls to an overloaded model are answered; none of those to one that is full or asked not to be called. So it
 * comes before them, and when it failed in this call, after those that have not.
 */
function weightOf({ kind, failsFast }: Block): number {
  return kind === "open" && failsFast === true ? 3.5 : 4 + 2 * BLOCKS.indexOf(kind);
}

interface Diversion {
  readonly index: number;
  readonly reason: string;
}

/** A probe that is due, or exploration: both only in the first attempt of a call. */
function divert(
  ranked: readonly number[],
  by: {
    readonly policy: RoutingPolicy;
    readonly draws: Draws;
    readonly at: (index: number) => CandidateFacts;
    readonly score: (index: number) => number;
  },
): Diversion | null {
  if (ranked.some((index) => by.at(index).tried > 0)) return null;
  const free = ranked.filter((index) => by.at(index).blocked === null);
  const probe = free.find((index) => by.at(index).probe);
  if (probe !== undefined) return { index: probe, reason: "probe of a model that had been taken out" };
  if (free.length < 2 || by.draws.explore >= by.policy.explore) return null;
  const [best, ...others] = free as [number, ...number[]];
  const odds = others.map((index) =>
    Math.exp(Math.max(-50, EXPLORE_SHARPNESS * (by.score(index) - by.score(best)))),
  );
  let left = by.draws.pick * odds.reduce((sum, one) => sum + one, 0);
  const at = odds.findIndex((one) => {
    left -= one;
    return left < 0;
  });
  // −1, when rounding left a crumb, means the last.
  const index = others.at(at) as number;
  return { index, reason: `exploration (${Math.round(by.policy.explore * 100)} % of calls)` };
}

function reasonFor(policy: RoutingPolicy, first: CandidateFacts, fit: number): string {
  if (first.blocked !== null) {
    const what = `${first.blocked.kind}: ${first.blocked.detail}`;
    return fit === 1
      ? `the only candidate, though ${what}`
      : `every candidate is blocked, the least bad (${what})`;
  }
  if (fit === 1) return "the only candidate";
  return first.tried > 0 ? "every free candidate failed once, the best again" : `best score, ${policy.name}`;
}

/** Why no candidate may take the call: `model_context_overflow` when all are too small, else `model_unfit`. */
export function nobodyFits(choice: Choice): Failure {
  const why = choice.candidates.map((one) => `${one.provider}/${one.model}: ${one.excluded}`).join("; ");
  const small = choice.candidates.every((one) => one.excluded?.startsWith("context window") === true);
  return failure(small ? "model_context_overflow" : "model_unfit", `no candidate fits the call: ${why}`);
}

/**
 * What a failed attempt says of the model: `rate` it wants fewer calls · `fault` it is unwell · `refused-us` key, account
 * or name are wrong, and waiting does not help · `caller` nothing, the request was at fault or was taken back.
 */
export type FaultClass = "rate" | "fault" | "refused-us" | "caller";

const FAULTS: ReadonlySet<string> = new Set([
  "model_overloaded",
  "model_unavailable",
  "model_timeout",
  "model_truncated",
  "model_bad_reply",
  "internal",
]);

export function faultClass(failed: Failure): FaultClass {
  if (failed.code === "model_rate_limited") return failed.retryable ? "rate" : "refused-us";
  if (failed.code === "model_auth" || failed.code === "model_unknown") return "refused-us";
  return FAULTS.has(failed.code) ? "fault" : "caller";
}
