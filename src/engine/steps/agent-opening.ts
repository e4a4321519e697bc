import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { nearest } from "../../base/text.ts";
import type { ActionContext } from "../../contracts/action.ts";
import type { Workspace } from "../../contracts/workspace.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { type Failure, FailureError, failure } from "../../domain/errors.ts";
import { budgetText } from "../../domain/guard.ts";
import type { TaskSpec } from "../../domain/task.ts";
import { essentialText, FINISH, introductionText, systemPrompt, taskText } from "./agent-prompt.ts";
import { readRules } from "./agent-rules.ts";
import type { Opening } from "./agent-session.ts";
import { type EffectCall, onceOf, throwIfAborted, unwrap } from "./effects.ts";
import type { PastFailure, StepParts } from "./parts.ts";

const MAX_PAST_FAILURES = 5;
const KEY = "opening";

export interface OpeningRequest {
  readonly agent: string;
  readonly task: TaskSpec;
  readonly workspace: Workspace | null;
  readonly use: string | null;
}

/** Gathers once what the agent begins with. All of it is recorded, so later changes of files do not move a resumed run. */
export function openAgent(
  parts: StepParts,
  context: ActionContext,
  request: OpeningRequest,
): Promise<Opening> {
  return onceOf<Opening>(context, KEY, {
    effect: "pure",
    request: { ...request, workspace: request.workspace?.root ?? null },
    label: `open ${request.agent}`,
    perform: (call) => gather({ parts, context, request, call }),
  });
}

async function gather(given: {
  readonly parts: StepParts;
  readonly context: ActionContext;
  readonly request: OpeningRequest;
  readonly call: EffectCall;
}): Promise<Opening> {
  const { parts, context, request, call } = given;
  const { task, workspace } = request;
  const signal = AbortSignal.any([call.signal, context.signal]);
  const agent = agentNamed(parts, request.agent);
  const use = request.use ?? agent.model.use;
  const { model } = modelFor(parts, use, agent);
  const tools = toolsFor(parts, agent, model);
  const root = workspace?.root ?? (await scratchFolder(parts, context));
  const changes = workspace === null ? null : unwrap(await parts.workspaces.changes(workspace, signal));
  const first = firstOpening(context);
  const wantsGates = workspace !== null && agent.validation.gates;
  const gates = wantsGates ? (first?.gates ?? unwrap(await parts.gates.specs(root))) : null;
  const rules = workspace === null ? [] : await readRules(root, task.hints.paths);
  const programs = (await parts.programs?.()) ?? [];
  const map = await mapFor(parts, { agent, task, workspace, signal });
  const pastFailures = await pastFailuresFor(parts, context, { task, workspace });
  throwIfAborted(signal);
  const redact = parts.redact ?? ((text: string) => text);
  const around = { os: parts.os, root, branch: workspace?.branch ?? null, programs, gates, rules };
  const none = { turns: 0, tokens: 0, costMicros: 0, activeMs: 0 };
  const budget = budgetText(agent.limits, none);
  return {
    agent,
    use: use ?? null,
    model,
    system: systemPrompt(agent),
    essential: redact(essentialText(task, around)),
    introduction: redact(introductionText({ map, earlier: earlierFailure(context), pastFailures, budget })),
    tools,
    root,
    treeHash: first?.treeHash ?? changes?.treeHash ?? null,
    gates,
  };
}

/**
 * What the first attempt of the step began with. A later one finds the work tree as the earlier ones left it, but
 * what counts as changed, and which gates judge it, is measured from the first.
 */
function firstOpening(context: ActionContext): Pick<Opening, "treeHash" | "gates"> | null {
  for (const fact of context.facts()) {
    if (fact.kind !== "effect_recorded" || fact.step !== context.step.id || fact.key !== KEY) continue;
    if (fact.result.ok) return fact.result.value as unknown as Opening;
  }
  return null;
}

/** Why the attempt before this one failed. */
function earlierFailure(context: ActionContext): Failure | null {
  const last = context
    .facts()
    .findLast((fact) => fact.kind === "step_retrying" && fact.step === context.step.id);
  return last?.kind === "step_retrying" ? last.failure : null;
}

export function agentNamed(parts: Pick<StepParts, "agents">, name: string): AgentSpec {
  const agent = parts.agents.get(name);
  if (agent !== null) return agent;
  const meant = nearest(name, parts.agents.names);
  const hint = meant === null ? "" : `; did you mean "${meant}"?`;
  throw new FailureError(failure("invalid_agent", `there is no agent "${name}"${hint}`, { agent: name }));
}

export function modelFor(
  parts: Pick<StepParts, "gateway">,
  use: string | undefined,
  agent: AgentSpec,
): { readonly provider: string; readonly model: string } {
  const resolved = parts.gateway.resolve(use, agent.model.stage);
  if (!resolved.ok) throw new FailureError(resolved.failure);
  return resolved;
}

/** `finish` is ours and always there, whether the file lists it or not. */
function toolsFor(parts: StepParts, agent: AgentSpec, model: string): readonly string[] {
  const names = agent.tools.filter((name) => name !== FINISH.name);
  const { unknown } = parts.tools.pick(names, model);
  const [first] = unknown;
  if (first === undefined) return names;
  const meant = nearest(first, parts.tools.names);
  const hint = meant === null ? "" : `; did you mean "${meant}"?`;
  throw new FailureError(
    failure("invalid_agent", `the agent "${agent.name}" lists a tool "${first}" that does not exist${hint}`, {
      unknown,
    }),
  );
}

/** The folder of a run whose step has no workspace. */
export async function scratchFolder(
  parts: Pick<StepParts, "scratchRoot">,
  context: ActionContext,
): Promise<string> {
  const folder = join(parts.scratchRoot, context.run.id);
  await mkdir(folder, { recursive: true });
  return folder;
}

async function mapFor(
  parts: StepParts,
  of: {
    readonly agent: AgentSpec;
    readonly task: TaskSpec;
    readonly workspace: Workspace | null;
    readonly signal: AbortSignal;
  },
): Promise<string> {
  const budgetTokens = of.agent.limits.contextTokens;
  if (parts.contextMap === undefined || of.workspace === null || budgetTokens === 0) return "";
  try {
    return await parts.contextMap({
      root: of.workspace.root,
      task: taskText(of.task),
      budgetTokens,
      signal: of.signal,
    });
  } catch (thrown) {
    throwIfAborted(of.signal);
    // The agent can look for itself; that the map is missing must be seen, not guessed.
    return `(no map: ${thrown instanceof Error ? thrown.message : String(thrown)})`;
  }
}

async function pastFailuresFor(
  parts: StepParts,
  context: ActionContext,
  of: { readonly task: TaskSpec; readonly workspace: Workspace | null },
): Promise<readonly PastFailure[]> {
  if (parts.pastFailures === undefined) return [];
  const past = await parts.pastFailures({
    run: context.run.id,
    tenant: context.run.tenant,
    workflow: context.run.workflow,
    repo: of.workspace?.repo ?? null,
    task: taskText(of.task),
  });
  return past.slice(0, MAX_PAST_FAILURES);
}
