import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import { clip, nearest } from "../../base/text.ts";
import type { Tool, ToolOutput } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { ToolCall } from "../../domain/message.ts";
import { FINISH, TEXTS } from "./agent-prompt.ts";
import { type Session, timeLeft } from "./agent-session.ts";
import { redactTexts } from "./agent-transcript.ts";
import { digest, sha256 } from "./digest.ts";
import { onceOf, throwIfAborted, timeLimit } from "./effects.ts";

const MAX_CALLS_PER_TURN = 32;
/** Calls that only read, carried out at the same time. */
const MAX_PARALLEL_READS = 8;
const SHOWN_INPUT_CHARS = 200;
const LABEL_CHARS = 80;

/** A tool call as the journal keeps it. */
export interface RecordedCall {
  readonly text: string;
  readonly isError: boolean;
  readonly changed: readonly string[];
  /** What the call changed in `seen`; `null` stands for forgotten. */
  readonly seen: Readonly<Record<string, string | null>>;
  readonly ms: number;
  /** Whether policy or a person refused it, so that nothing was done. */
  readonly refused: boolean;
}

/** A call with its place in the turn, cleared or answered already. */
type Cleared =
  | { readonly kind: "run"; readonly key: string; readonly call: ToolCall; readonly tool: Tool }
  | { readonly kind: "refuse"; readonly key: string; readonly call: ToolCall; readonly reason: string }
  | { readonly kind: "answered"; readonly call: ToolCall; readonly text: string };

/** Carries out the calls of a turn, all but `finish`: neighbours that only read together, others in order. */
export async function runCalls(
  session: Session,
  calls: readonly ToolCall[],
): Promise<ReadonlyMap<ToolCall, RecordedCall>> {
  const done = new Map<ToolCall, RecordedCall>();
  let batch: Cleared[] = [];
  const flush = async (): Promise<void> => {
    const together = batch;
    batch = [];
    for (const [call, result] of await carryOut(session, together)) done.set(call, result);
  };
  for (const [index, call] of calls.entries()) {
    if (call.name === FINISH.name) continue;
    const reads = session.tools.get(call.name)?.readOnly === true;
    if (!reads || batch.length >= MAX_PARALLEL_READS) await flush();
    batch.push(await clear(session, call, index));
    if (!reads) await flush();
  }
  await flush();
  return done;
}

/** Checks the call and asks policy, and where policy says so, a person. */
async function clear(session: Session, call: ToolCall, index: number): Promise<Cleared> {
  const tool = session.tools.get(call.name);
  if (index >= MAX_CALLS_PER_TURN) {
    return { kind: "answered", call, text: TEXTS.tooManyCalls(MAX_CALLS_PER_TURN) };
  }
  if (tool === undefined) return { kind: "answered", call, text: unknownTool(session, call.name) };
  if (!isJsonObject(call.input)) return { kind: "answered", call, text: badInput(call) };
  const key = `turn:${session.turn}/tool/${index}`;
  const agent = session.opening.agent;
  const decision = session.parts.authorize({ agent, tool, input: call.input });
  switch (decision.kind) {
    case "allow":
      return { kind: "run", key, call, tool };
    case "deny":
      return { kind: "refuse", key, call, reason: `Not done: policy denies it, because ${decision.reason}.` };
    case "ask": {
      const input = redactTexts(call.input, session.parts.redact);
      const details: JsonObject = { agent: agent.name, tool: tool.name, input };
      const { title, risk, timeoutMs } = decision;
      const said = await session.context.askApproval(`${key}/approval`, { title, details, risk, timeoutMs });
      if (said.answer === "approved") return { kind: "run", key, call, tool };
      const why = said.comment === "" ? "" : `: ${said.comment}`;
      const reason =
        said.answer === "expired"
          ? "Not done: it needs a person's approval, and nobody answered in time. Do without it."
          : `Not done: ${said.by} denied it${why}.`;
      return { kind: "refuse", key, call, reason };
    }
  }
}

async function carryOut(
  session: Session,
  batch: readonly Cleared[],
): Promise<readonly (readonly [ToolCall, RecordedCall])[]> {
  const settled = await Promise.allSettled(
    batch.map(async (one) => [one.call, await outcomeOf(session, one)] as const),
  );
  const results: (readonly [ToolCall, RecordedCall])[] = [];
  for (const one of settled) {
    if (one.status === "rejected") throw one.reason;
    results.push(one.value);
  }
  session.activeMs += Math.max(0, ...results.map(([, result]) => result.ms));
  for (const [call, result] of results) remember(session, call, result);
  return results;
}

function outcomeOf(session: Session, one: Cleared): Promise<RecordedCall> {
  const nothing = { isError: true, changed: [], seen: {}, ms: 0 } as const;
  switch (one.kind) {
    case "answered":
      return Promise.resolve({ ...nothing, text: one.text, refused: false });
    case "refuse":
      // Recorded under the key of the call itself: if policy changes meanwhile, a resumed run keeps what was.
      return onceOf<RecordedCall>(session.context, one.key, {
        effect: "pure",
        request: identityOf(one.call),
        label: `refused ${one.call.name}`,
        perform: async () => ({ ...nothing, text: one.reason, refused: true }),
      });
    case "run":
      return execute(session, one);
  }
}

function execute(session: Session, one: Cleared & { readonly kind: "run" }): Promise<RecordedCall> {
  const { context, parts, opening, turn } = session;
  const { tool, call } = one;
  const left = timeLeft(session);
  const within = async (
    signal: AbortSignal,
    act: (seen: Map<string, string>, limited: AbortSignal) => Promise<ToolOutput | null>,
  ): Promise<RecordedCall | null> => {
    const before = new Map(session.seen);
    const seen = new Map(before);
    const stopped = AbortSignal.any([signal, context.signal]);
    const limit = timeLimit(context.clock, left);
    const started = context.clock.now();
    const output = await act(seen, AbortSignal.any([stopped, limit.signal])).catch(
      (thrown: unknown): ToolOutput => ({ isError: true, text: `the tool crashed: ${messageOf(thrown)}` }),
    );
    limit.cancel();
    throwIfAborted(stopped);
    if (output === null) return null;
    const late = limit.fired() ? "\n[stopped: the working time of the agent is used up]" : "";
    return {
      text: shownText(session, output.text) + late,
      isError: output.isError || limit.fired(),
      changed: output.changed ?? [],
      seen: seenChanges(before, seen),
      ms: context.clock.now() - started,
      refused: false,
    };
  };
  const contextOf = (seen: Map<string, string>, signal: AbortSignal) => ({
    root: opening.root,
    sandbox: parts.sandbox,
    signal,
    seen,
    onOutput: (chunk: string) => context.publish("output", { turn, tool: tool.name, text: chunk }),
  });
  const { recover } = tool;
  const shown = JSON.stringify(redactTexts(call.input, parts.redact));
  return onceOf<RecordedCall>(context, one.key, {
    effect: tool.effect,
    request: identityOf(call),
    label: clip(`${tool.name} ${shown}`, LABEL_CHARS).text,
    perform: async (effect) => {
      const done = await within(effect.signal, (seen, signal) =>
        tool.execute(call.input, contextOf(seen, signal)),
      );
      // `execute` always has an output; only a recovery may find none.
      return done as RecordedCall;
    },
    ...(recover && {
      query: (effect) =>
        within(effect.signal, (seen, signal) => recover.call(tool, call.input, contextOf(seen, signal))),
    }),
  });
}

function remember(session: Session, call: ToolCall, result: RecordedCall): void {
  for (const [path, hash] of Object.entries(result.seen)) {
    if (hash === null) session.seen.delete(path);
    else session.seen.set(path, hash);
  }
  if (result.changed.length > 0) session.checked = false;
  else if (!result.isError) session.checked = true;
  session.activities.push({
    kind: "call",
    tool: call.name,
    input: digest(call.input),
    result: sha256(withoutTimes(result.text)),
    isError: result.isError,
  });
}

function identityOf(call: ToolCall): Json {
  return { tool: call.name, input: call.input };
}

function shownText(session: Session, text: string): string {
  const redacted = session.parts.redact?.(text) ?? text;
  const { text: shown, elided } = clip(redacted, LIMITS.toolOutputChars);
  return elided === 0 ? shown : `${shown}\n[${elided} characters are left out above: ask for less at a time]`;
}

function seenChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Record<string, string | null> {
  const changes: Record<string, string | null> = {};
  for (const [path, hash] of after) if (before.get(path) !== hash) changes[path] = hash;
  for (const path of before.keys()) if (!after.has(path)) changes[path] = null;
  return changes;
}

/** How long something took says nothing about whether anything was learned. */
function withoutTimes(text: string): string {
  return text.replaceAll(/\d+(?:\.\d+)?\s?m?s\b/g, "#");
}

function unknownTool(session: Session, name: string): string {
  const names = [...session.tools.keys(), FINISH.name];
  const meant = nearest(name, names);
  const hint = meant === null ? "" : ` Did you mean "${meant}"?`;
  return `There is no tool "${name}".${hint} The tools are: ${names.join(", ")}.`;
}

function badInput(call: ToolCall): string {
  const shown = clip(JSON.stringify(call.input), SHOWN_INPUT_CHARS).text;
  return `The arguments of "${call.name}" must be one JSON object, but were: ${shown}`;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
