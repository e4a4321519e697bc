import { FailureError, failure } from "../../domain/errors.ts";
import { guard, nearLimits } from "../../domain/guard.ts";
import { appendUser } from "../../domain/history.ts";
import type { ToolCall } from "../../domain/message.ts";
import { noProgress, PROGRESS_WARNINGS, PROGRESS_WINDOW } from "../../domain/progress.ts";
import { compact, compactIfLarge } from "./agent-compact.ts";
import { type Ending, judgeFinish } from "./agent-finish.ts";
import { hearReplies } from "./agent-heard.ts";
import { askModel, type RecordedReply, recordOf } from "./agent-model.ts";
import { FINISH, TEXTS } from "./agent-prompt.ts";
import { type Session, usedBy } from "./agent-session.ts";
import { type RecordedCall, runCalls } from "./agent-tools.ts";
import { plain } from "./effects.ts";
import { usageToWire } from "./shapes.ts";

/** Replies in a row that were cut off at the output limit before the agent is stopped. */
const MAX_CUT_REPLIES = 3;
const EMPTY_REPLY = "(an empty reply)";

/** One turn: guards, a model call, its tool calls. Returns how the agent ended, or `null` when it goes on. */
export async function takeTurn(session: Session): Promise<Ending | null> {
  const over = guard(session.limits, usedBy(session));
  if (over !== null) throw new FailureError(over);
  session.turn += 1;
  const { turn, story } = session;
  story.note("turn_started", { turn });
  tellBudget(session);
  await hearReplies(session, { key: `turn:${turn}/heard`, before: `turn:${turn}/model` });
  await compactIfLarge(session);
  const said = await nextReply(session);
  const { reply, record } = said;
  const ending = await answer(session, said);
  story.note("turn_finished", {
    turn,
    model: `${record.provider}/${reply.model}`,
    calls: reply.toolCalls.map((call) => call.name),
    usage: usageToWire(reply.usage),
    cost_micros: record.costMicros,
    ms: record.ms,
  });
  return ending;
}

function tellBudget(session: Session): void {
  for (const near of nearLimits(session.limits, usedBy(session))) {
    if (session.warned.has(near.limit)) continue;
    session.warned.add(near.limit);
    session.messages = appendUser(session.messages, `[budget] ${near.text}`);
    session.story.note("agent_warned", { turn: session.turn, limit: near.limit, text: near.text });
  }
}

/**
 * The model's reply; when the history is too large for the model, once more with a smaller one: a summary says more than
 * what cutting would leave, so cutting is for what no summary made small enough.
 */
async function nextReply(session: Session): Promise<RecordedReply> {
  const key = `turn:${session.turn}/model`;
  try {
    return await askModel(session, key, "fail");
  } catch (thrown) {
    if (!(thrown instanceof FailureError) || thrown.failure.code !== "model_context_overflow") throw thrown;
    const compacted = await compact(session, "overflow");
    const nobodyWasAsked = recordOf(thrown)?.attempts.length === 0;
    if (!compacted && !nobodyWasAsked) throw thrown;
    return askModel(session, `${key}/compacted`, "cut");
  }
}

async function answer(session: Session, said: RecordedReply): Promise<Ending | null> {
  const { reply } = said;
  const isEmpty = reply.text.trim() === "" && reply.toolCalls.length === 0;
  session.messages = [
    ...session.messages,
    {
      role: "assistant",
      text: isEmpty ? EMPTY_REPLY : reply.text,
      toolCalls: reply.toolCalls,
      ...(reply.providerData !== undefined && { providerData: reply.providerData }),
    },
  ];
  session.transcript.push({
    type: "reply",
    turn: session.turn,
    text: reply.text,
    reasoning: reply.reasoning,
    tool_calls: plain(reply.toolCalls),
    finish: reply.finish,
    record: plain(said.record),
  });
  if (reply.finish === "length") return answerCutReply(session, reply.toolCalls);
  session.cutReplies = 0;
  if (reply.toolCalls.length > 0) return answerCalls(session, reply.toolCalls);
  return answerText(session, reply.text);
}

/** Nothing of a reply that was cut off is carried out: its last call may be half a call. */
function answerCutReply(session: Session, calls: readonly ToolCall[]): null {
  session.cutReplies += 1;
  const tokens = session.opening.agent.model.maxOutputTokens;
  if (session.cutReplies > MAX_CUT_REPLIES) {
    const text = `${session.cutReplies} replies in a row were cut off at ${tokens} output tokens`;
    throw new FailureError(failure("agent_no_progress", text));
  }
  giveResults(session, new Map(calls.map((call) => [call, { text: TEXTS.notExecuted, isError: true }])));
  session.messages = appendUser(session.messages, TEXTS.cut(tokens));
  return null;
}

/** Text without a call: the answer of an agent that has no tools, otherwise talk that leads nowhere. */
async function answerText(session: Session, text: string): Promise<Ending | null> {
  if (session.tools.size === 0 && text.trim() !== "") {
    const [summary = ""] = text.trim().split("\n");
    const claim = { outcome: "done", summary, answer: text.trim() };
    const judged = await judgeFinish(session, claim, { otherCallFailed: false });
    if (judged.accepted) return judged.ending;
    session.messages = appendUser(session.messages, judged.text);
    return null;
  }
  session.activities.push({ kind: "monologue" });
  session.messages = appendUser(session.messages, TEXTS.nudge);
  watchProgress(session);
  return null;
}

interface Result {
  readonly text: string;
  readonly isError: boolean;
}

async function answerCalls(session: Session, calls: readonly ToolCall[]): Promise<Ending | null> {
  const results = new Map<ToolCall, Result>(await runCalls(session, calls));
  noteRefusals(session, results);
  const otherCallFailed = [...results.values()].some((result) => result.isError);
  const [finish, ...again] = calls.filter((call) => call.name === FINISH.name);
  for (const call of again) results.set(call, { text: TEXTS.oneFinish, isError: true });
  if (finish !== undefined) {
    const spoken = await refuseForReplies(session, { calls, results, finish });
    if (spoken) return null;
    const judged = await judgeFinish(session, finish.input, { otherCallFailed });
    if (judged.accepted) {
      results.set(finish, { text: "Accepted.", isError: false });
      giveResults(session, ordered(calls, results));
      return judged.ending;
    }
    results.set(finish, { text: judged.text, isError: true });
    session.activities.push({
      kind: "call",
      tool: FINISH.name,
      input: "",
      result: `${session.turn}`,
      isError: false,
    });
  }
  giveResults(session, ordered(calls, results));
  watchProgress(session);
  return null;
}

/** A claim to be done is not judged while somebody has said something that the agent has not heard. */
async function refuseForReplies(
  session: Session,
  of: {
    readonly calls: readonly ToolCall[];
    readonly results: Map<ToolCall, Result>;
    readonly finish: ToolCall;
  },
): Promise<boolean> {
  const before = session.messages;
  const { turn } = session;
  const at = { key: `turn:${turn}/heard_at_finish`, before: `turn:${turn + 1}/model` };
  if (!(await hearReplies(session, at))) return false;
  // Results of a turn's calls come right after them; the words follow.
  const spoken = session.messages.slice(before.length);
  session.messages = before;
  of.results.set(of.finish, { text: TEXTS.spokenTo, isError: true });
  giveResults(session, ordered(of.calls, of.results));
  session.messages = [...session.messages, ...spoken];
  return true;
}

function ordered(
  calls: readonly ToolCall[],
  results: ReadonlyMap<ToolCall, Result>,
): ReadonlyMap<ToolCall, Result> {
  return new Map(
    calls.flatMap((call) => {
      const result = results.get(call);
      return result === undefined ? [] : [[call, result] as const];
    }),
  );
}

function noteRefusals(session: Session, results: ReadonlyMap<ToolCall, Result>): void {
  for (const [call, result] of results) {
    if ((result as Partial<RecordedCall>).refused !== true) continue;
    session.story.note("call_refused", {
      turn: session.turn,
      call: call.id,
      tool: call.name,
      reason: result.text,
    });
  }
}

function giveResults(session: Session, results: ReadonlyMap<ToolCall, Result>): void {
  if (results.size === 0) return;
  const shown = [...results].map(([call, { text, isError }]) => ({
    callId: call.id,
    name: call.name,
    text,
    isError,
  }));
  session.messages = [...session.messages, { role: "tool", results: shown }];
  session.transcript.push({ type: "results", turn: session.turn, results: shown });
}

function watchProgress(session: Session): void {
  session.activities = session.activities.slice(-PROGRESS_WINDOW);
  const stuck = noProgress(session.activities);
  if (stuck !== null) {
    throw new FailureError(failure("agent_no_progress", stuck.message, { pattern: stuck.pattern }));
  }
  const nearly = noProgress(session.activities, PROGRESS_WARNINGS);
  if (nearly === null) return;
  session.messages = appendUser(session.messages, TEXTS.stuck(nearly.message));
  session.story.note("agent_warned", { turn: session.turn, limit: "progress", text: nearly.message });
}
