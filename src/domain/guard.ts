import { formatDuration } from "../base/duration.ts";
import type { AgentSpec } from "./agent.ts";
import { type Failure, failure } from "./errors.ts";

export type AgentLimits = AgentSpec["limits"];

/** What an agent has used so far, failed and unparsable replies included. */
export interface Used {
  readonly turns: number;
  readonly tokens: number;
  /** Micro-US-dollars of the calls whose price is known. */
  readonly costMicros: number;
  /** Time in model calls, tools and gates; waiting for people and downtime do not count. */
  readonly activeMs: number;
}

export type LimitName = "turns" | "tokens" | "cost" | "time";

/** The share of a limit at which the agent is told. */
export const WARN_AT = 0.8;

const MICROS_PER_USD = 1_000_000;

/** The failure of the first limit that is used up, or `null`. Asked before each model call. */
export function guard(limits: AgentLimits, used: Used): Failure | null {
  const over = shares(limits, used).find((share) => share.used >= share.limit);
  if (over === undefined) return null;
  return failure(over.code, `the agent has used ${over.text}`, { used: over.used, limit: over.limit });
}

/** The limits of which at least `WARN_AT` is used, with a sentence for the model. */
export function nearLimits(
  limits: AgentLimits,
  used: Used,
): readonly { readonly limit: LimitName; readonly text: string }[] {
  return shares(limits, used)
    .filter((share) => share.used >= share.limit * WARN_AT)
    .map((share) => ({ limit: share.name, text: `${share.text} are used; finish soon.` }));
}

/** What is left, in one line for the model. */
export function budgetText(limits: AgentLimits, used: Used): string {
  return shares(limits, used)
    .map((share) => share.text)
    .join("; ");
}

interface Share {
  readonly name: LimitName;
  readonly code: "agent_step_limit" | "agent_token_limit" | "agent_cost_limit" | "agent_time_limit";
  readonly used: number;
  readonly limit: number;
  readonly text: string;
}

function shares(limits: AgentLimits, used: Used): readonly Share[] {
  const all: Share[] = [
    {
      name: "turns",
      code: "agent_step_limit",
      used: used.turns,
      limit: limits.turns,
      text: `${used.turns} of ${limits.turns} turns`,
    },
    {
      name: "tokens",
      code: "agent_token_limit",
      used: used.tokens,
      limit: limits.tokens,
      text: `${used.tokens} of ${limits.tokens} tokens`,
    },
  ];
  if (limits.costUsd !== undefined) {
    all.push({
      name: "cost",
      code: "agent_cost_limit",
      used: used.costMicros,
      limit: Math.round(limits.costUsd * MICROS_PER_USD),
      text: `$${(used.costMicros / MICROS_PER_USD).toFixed(4)} of $${limits.costUsd.toFixed(2)}`,
    });
  }
  all.push({
    name: "time",
    code: "agent_time_limit",
    used: used.activeMs,
    limit: limits.wallTimeMs,
    text: `${formatDuration(used.activeMs)} of ${formatDuration(limits.wallTimeMs)} working time`,
  });
  return all;
}
