import { nearest } from "../../../base/text.ts";
import { fail, ok, type Result } from "../../../domain/errors.ts";
import type { Script, Turn } from "./schema.ts";
import { answersIn, type Captures, marker, match, messageText, type Sent } from "./sent.ts";

export interface Choice {
  readonly turn: Turn;
  /** Names the turn in messages: `demo/implement turn 3`. */
  readonly label: string;
  /** Which answer of the conversation this is, from 1. */
  readonly position: number;
  readonly captures: Captures;
}

interface Conversation {
  readonly label: string;
  readonly turns: readonly Turn[];
}

const SHOWN_CHARS = 300;

/**
 * The turn that answers a request, from nothing but the script and what was sent: the history says which turns
 * were already played. So a process that was killed and started again goes on at the same turn.
 *
 * `conversation` is what follows the script's name in `scripted/<script>/<conversation>`, when anything does.
 */
export function chooseTurn(script: Script, sent: Sent, conversation: string | null): Result<Choice> {
  const found = chooseConversation(script, sent, conversation);
  if (!found.ok) return found;
  const { label, turns } = found.value;
  const used = replay(turns, sent);
  const next = firstFitting(turns, used, sent);
  if (next === null) return fail("script_exhausted", exhausted(label, sent));
  const where = `${label} turn ${next.index + 1}`;
  const expected = match(next.turn.expect ?? {}, sent);
  if (!expected.ok) {
    return fail("script_mismatch", `${where} expected ${expected.missed}; it was sent ${shown(sent)}`);
  }
  return ok({
    turn: next.turn,
    label: where,
    position: answersIn(sent) + 1,
    captures: { ...next.captures, ...expected.captures },
  });
}

function chooseConversation(script: Script, sent: Sent, named: string | null): Result<Conversation> {
  const agents = Object.entries(script.agents ?? {});
  if (named !== null) {
    const entry = script.agents?.[named];
    if (entry !== undefined) return ok({ label: `${script.name}/${named}`, turns: entry.turns });
    const near = nearest(named, Object.keys(script.agents ?? {}));
    const hint = near === null ? "" : `; did you mean "${near}"?`;
    return fail("model_unknown", `the script "${script.name}" has no agent "${named}"${hint}`);
  }
  for (const [name, entry] of agents) {
    const fits =
      entry.match === undefined ? marker(sent.system, "agent") === name : match(entry.match, sent).ok;
    if (fits) return ok({ label: `${script.name}/${name}`, turns: entry.turns });
  }
  if (script.turns !== undefined) return ok({ label: script.name, turns: script.turns });
  const names = agents.map(([name]) => name).join(", ");
  return fail(
    "script_exhausted",
    `the script "${script.name}" has no conversation for this request: none of its agents (${names}) fits and it has no ` +
      `\`turns\` of its own; it was sent ${shown(sent)}`,
  );
}

/** How often each turn was played to bring about the history that was sent. */
function replay(turns: readonly Turn[], sent: Sent): number[] {
  const used = turns.map(() => 0);
  sent.messages.forEach((message, index) => {
    if (message.role !== "assistant") return;
    const then = firstFitting(turns, used, { ...sent, messages: sent.messages.slice(0, index) });
    if (then !== null) used[then.index] = (used[then.index] ?? 0) + 1;
  });
  return used;
}

function firstFitting(
  turns: readonly Turn[],
  used: readonly number[],
  sent: Sent,
): { readonly index: number; readonly turn: Turn; readonly captures: Captures } | null {
  for (const [index, turn] of turns.entries()) {
    if (turn.times !== "always" && (used[index] ?? 0) >= turn.times) continue;
    const found = match(turn.when ?? {}, sent);
    if (found.ok) return { index, turn, captures: found.captures };
  }
  return null;
}

function exhausted(label: string, sent: Sent): string {
  return `${label} has no turn left that fits answer ${answersIn(sent) + 1}; it was sent ${shown(sent)}`;
}

/** The end of what was sent, short enough for a message: what a writer of a script needs to add the missing turn. */
function shown(sent: Sent): string {
  const last = sent.messages.at(-1);
  const system = quote(sent.system.split("\n").find((line) => line.trim() !== "") ?? "");
  if (last === undefined) return `no message; the system prompt starts ${system}`;
  const tools = last.role === "tool" ? ` of ${last.results.map((result) => result.name).join(", ")}` : "";
  return `a ${last.role} message${tools} ${quote(messageText(last))}; the system prompt starts ${system}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
}
