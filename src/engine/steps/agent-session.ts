import type { JsonObject } from "../../base/json.ts";
import type { ActionContext } from "../../contracts/action.ts";
import type { GateSpec, Verdict } from "../../contracts/gates.ts";
import type { CallBudget } from "../../contracts/model-gateway.ts";
import type { Tool } from "../../contracts/tool.ts";
import type { Workspace } from "../../contracts/workspace.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { type AgentLimits, budgetText, type Used } from "../../domain/guard.ts";
import type { Measured } from "../../domain/history.ts";
import { LIMITS } from "../../domain/limits.ts";
import { addUsage, type Message, NO_USAGE, totalTokens, type Usage } from "../../domain/message.ts";
import type { Activity } from "../../domain/progress.ts";
import type { TaskSpec } from "../../domain/task.ts";
import type { StepParts } from "./parts.ts";
import { type Story, storyOf } from "./story.ts";

/** Everything that an agent begins with, recorded once: a resumed agent goes on with exactly this. */
export interface Opening {
  readonly agent: AgentSpec;
  /** What the gateway was asked for; `null` is the default of the stage. */
  readonly use: string | null;
  /** The model that the tools were chosen for. */
  readonly model: string;
  readonly system: string;
  /** The part of the first message that survives compaction word for word. */
  readonly essential: string;
  readonly introduction: string;
  readonly tools: readonly string[];
  /** Absolute; where the tools work. */
  readonly root: string;
  /** The work tree before the agent touched it; `null` without a workspace. */
  readonly treeHash: string | null;
  /** The gates before the agent could change them; `null` when none will be run. */
  readonly gates: readonly GateSpec[] | null;
}

/** An agent at work. The fields that change are folded from recorded outcomes alone. */
export interface Session {
  readonly parts: StepParts;
  readonly context: ActionContext;
  readonly story: Story;
  readonly opening: Opening;
  readonly limits: AgentLimits;
  readonly task: TaskSpec;
  readonly workspace: Workspace | null;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly seen: Map<string, string>;
  readonly transcript: JsonObject[];
  readonly warned: Set<string>;
  /** Ids of the replies that are in the history. */
  readonly heard: Set<string>;
  messages: readonly Message[];
  measured: Measured | null;
  turn: number;
  usage: Usage;
  /** Of the calls whose price is known. */
  costMicros: number;
  /** Whether the price of every call is known. */
  costKnown: boolean;
  activeMs: number;
  activities: Activity[];
  /** Whether something ran or was read since the last write. */
  checked: boolean;
  /** Words of ours that are said only once. */
  readonly said: Set<"verify" | "unchanged" | "changed">;
  summary: string;
  verdict: Verdict | null;
  redRounds: number;
  answerRounds: number;
  cutReplies: number;
}

export function newSession(given: {
  readonly parts: StepParts;
  readonly context: ActionContext;
  readonly opening: Opening;
  readonly task: TaskSpec;
  readonly workspace: Workspace | null;
}): Session {
  const { opening, parts, context } = given;
  const { limits } = opening.agent;
  const picked = parts.tools.pick(opening.tools, opening.model).tools;
  return {
    ...given,
    story: storyOf(context),
    limits: { ...limits, turns: Math.min(limits.turns, LIMITS.agentTurns) },
    tools: new Map(picked.map((tool) => [tool.name, tool])),
    seen: new Map(),
    transcript: [
      { type: "opening", agent: opening.agent.name, system: opening.system, text: firstText(opening) },
    ],
    warned: new Set(),
    heard: new Set(),
    messages: [{ role: "user", text: firstText(opening) }],
    measured: null,
    turn: 0,
    usage: NO_USAGE,
    costMicros: 0,
    costKnown: true,
    activeMs: 0,
    activities: [],
    checked: false,
    said: new Set(),
    summary: "",
    verdict: null,
    redRounds: 0,
    answerRounds: 0,
    cutReplies: 0,
  };
}

function firstText(opening: Opening): string {
  return `${opening.essential}\n\n${opening.introduction}`;
}

export function usedBy(session: Session): Used {
  return {
    turns: session.turn,
    tokens: totalTokens(session.usage),
    costMicros: session.costMicros,
    activeMs: session.activeMs,
  };
}

export function budgetOf(session: Session): string {
  return budgetText(session.limits, usedBy(session));
}

/** Working time that is left, in ms; at least 1, because the guard has spoken before. */
export function timeLeft(session: Session): number {
  return Math.max(1, session.limits.wallTimeMs - session.activeMs);
}

/** A soft cap is crossed once by somebody; whoever reads the run shall see that it was this one. */
function noteBudget(session: Session, warnings: readonly string[]): void {
  for (const text of warnings) session.story.note("budget_warned", { turn: session.turn, text });
}

export interface Spent {
  readonly usage: Usage;
  readonly costMicros: number | null;
  readonly ms: number;
  readonly budget?: CallBudget;
}

/** Counts a model call, also one that failed. */
export function charge(session: Session, spent: Spent): void {
  session.usage = addUsage(session.usage, spent.usage);
  session.costMicros += spent.costMicros ?? 0;
  session.activeMs += spent.ms;
  noteBudget(session, spent.budget?.warnings ?? []);
  if (spent.costMicros !== null || totalTokens(spent.usage) === 0) return;
  session.costKnown = false;
  if (session.limits.costUsd === undefined || session.warned.has("price")) return;
  session.warned.add("price");
  session.story.note("agent_warned", {
    turn: session.turn,
    limit: "cost",
    text: "the price of this model is unknown: its cost limit cannot be kept, only its token limit",
  });
}

export function timeIsUp(session: Session): FailureError {
  const text = `the agent's working time of ${session.limits.wallTimeMs} ms was used up in turn ${session.turn}`;
  return new FailureError(failure("agent_time_limit", text));
}
