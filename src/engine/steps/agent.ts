import { z } from "zod";
import type { Json, JsonObject } from "../../base/json.ts";
import type { Action, ActionContext } from "../../contracts/action.ts";
import { type Failure, FailureError } from "../../domain/errors.ts";
import type { TaskSpec } from "../../domain/task.ts";
import type { Ending } from "./agent-finish.ts";
import { openAgent } from "./agent-opening.ts";
import { newSession, type Session } from "./agent-session.ts";
import { transcriptText } from "./agent-transcript.ts";
import { takeTurn } from "./agent-turn.ts";
import { defineAction } from "./define-action.ts";
import { plain } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import {
  taskOf,
  taskSchema,
  usageSchema,
  usageToWire,
  verdictSchema,
  verdictToWire,
  workspaceOf,
  workspaceSchema,
} from "./shapes.ts";
import { readTaskOnce } from "./task.ts";

const input = z.strictObject({
  agent: z.string().describe("Name of an agent file."),
  task: taskSchema.describe("Text or TaskSpec."),
  workspace: workspaceSchema.nullish().describe("Output of a `workspace` step."),
  use: z.string().nullish().describe("`provider/model` instead of the agent's own."),
});

const output = z.object({
  outcome: z.enum(["done", "nothing_to_do"]),
  summary: z.string(),
  answer: z.string(),
  turns: z.number().int(),
  usage: usageSchema,
  /** Micro-US-dollars; `null` when the price of a call is unknown. */
  cost_micros: z.number().nullable(),
  files_modified: z.array(z.string()).describe("From git, against the base commit."),
  verdict: verdictSchema.nullable(),
});

/** An agent with tools works on a task until it finishes, is stopped by a limit, or gives up. */
export function agentAction(parts: StepParts): Action {
  return defineAction({
    name: "agent",
    description:
      "An agent works on a task with tools; its claim of success is checked by the repository's gates.",
    input,
    output,
    perform: (given, context) => runAgent(parts, given, context),
  });
}

/** A text as a mediator model reads it; what only rules can read, the agent reads better itself. */
async function taskFor(
  parts: StepParts,
  task: z.output<typeof taskSchema>,
  context: ActionContext,
): Promise<TaskSpec> {
  if (typeof task !== "string" || parts.mediator?.hasModel !== true) return taskOf(task);
  const { by, value } = await readTaskOnce(parts, context, task);
  return by === "model" ? value : taskOf(task);
}

async function runAgent(
  parts: StepParts,
  given: z.output<typeof input>,
  context: ActionContext,
): Promise<z.input<typeof output>> {
  const task = await taskFor(parts, given.task, context);
  const workspace = given.workspace ? workspaceOf(given.workspace) : null;
  const use = given.use ?? null;
  const opening = await openAgent(parts, context, { agent: given.agent, task, workspace, use });
  const session = newSession({ parts, context, opening, task, workspace });
  try {
    const ending = await workUntilDone(session);
    await saveTranscript(session, { type: "end", outcome: ending.outcome, summary: ending.summary });
    return { ...endingToWire(ending), ...accountOf(session) };
  } catch (thrown) {
    if (!(thrown instanceof FailureError) || context.signal.aborted) throw thrown;
    await saveTranscript(session, { type: "end", outcome: "failed", failure: plain(thrown.failure) });
    throw new FailureError(explained(session, thrown.failure));
  }
}

/** Ends: each turn counts against the limit that the guard holds. */
async function workUntilDone(session: Session): Promise<Ending> {
  for (;;) {
    const ending = await takeTurn(session);
    if (ending !== null) return ending;
  }
}

function endingToWire(ending: Ending) {
  const { outcome, summary, answer, files } = ending;
  return { outcome, summary, answer, files_modified: [...files] };
}

function accountOf(session: Session) {
  return {
    turns: session.turn,
    usage: usageToWire(session.usage),
    cost_micros: session.costKnown ? session.costMicros : null,
    verdict: session.verdict && verdictToWire(session.verdict),
  };
}

/** A failed agent has cost something too, and its last verdict is evidence. */
function explained(session: Session, failed: Failure): Failure {
  const details: Record<string, Json> = { cause: failed.details ?? null };
  return { ...failed, details: { ...details, ...(plain(accountOf(session)) as JsonObject) } };
}

async function saveTranscript(session: Session, end: JsonObject): Promise<void> {
  const { context, opening, parts } = session;
  await context.saveArtifact({
    name: "transcript.jsonl",
    kind: "transcript",
    mediaType: "application/jsonl",
    content: transcriptText([...session.transcript, end], parts.redact),
    metadata: { agent: opening.agent.name, step: context.step.id, turns: session.turn },
  });
  if (session.verdict === null || session.verdict.passed) return;
  await context.saveArtifact({
    name: "gates.json",
    kind: "gates",
    mediaType: "application/json",
    content: `${JSON.stringify(session.verdict, null, 2)}\n`,
    metadata: { step: context.step.id },
  });
}
