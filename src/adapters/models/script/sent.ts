import type { Message } from "../../../domain/message.ts";
import type { Matchers } from "./schema.ts";

/** What a model was sent, as far as a script may look at it. */
export interface Sent {
  readonly system: string;
  readonly messages: readonly Message[];
  readonly tools: readonly string[];
  readonly json: boolean;
}

export type Captures = Readonly<Record<string, string>>;

/** The text of one message as its reader sees it. */
export function messageText(message: Message | undefined): string {
  if (message === undefined) return "";
  if (message.role !== "tool") return message.text;
  return message.results.map((result) => result.text).join("\n");
}

export function lastToolText(sent: Sent): string {
  const last = sent.messages.at(-1);
  return last?.role === "tool" ? messageText(last) : "";
}

/** How many times the model has answered in this conversation: its turns so far. */
export function answersIn(sent: Sent): number {
  return sent.messages.filter((message) => message.role === "assistant").length;
}

/** The value of a line `agent: implement` in a system prompt. */
export function marker(system: string, key: "agent" | "stage"): string | null {
  const found = new RegExp(`^[ \\t]*${key}:[ \\t]*(\\S+)[ \\t]*$`, "im").exec(system);
  return found?.[1] ?? null;
}

/** The named groups of every pattern that matched, or the name of the first matcher that did not. */
export function match(
  matchers: Matchers,
  sent: Sent,
): { readonly ok: true; readonly captures: Captures } | { readonly ok: false; readonly missed: string } {
  let captures: Captures = {};
  for (const [name, wanted] of Object.entries(matchers)) {
    if (wanted === undefined) continue;
    const found = CHECKS[name as keyof Matchers](sent, wanted as never);
    if (found === false) return { ok: false, missed: `${name}: ${JSON.stringify(wanted)}` };
    if (found !== true) captures = { ...captures, ...found };
  }
  return { ok: true, captures };
}

type Check<T> = (sent: Sent, wanted: T) => boolean | Captures;

const CHECKS: { readonly [K in keyof Matchers]-?: Check<NonNullable<Matchers[K]>> } = {
  agent: (sent, wanted) => marker(sent.system, "agent") === wanted,
  stage: (sent, wanted) => marker(sent.system, "stage") === wanted,
  system_contains: (sent, wanted) => contains(sent.system, wanted),
  system_matches: (sent, wanted) => matches(sent.system, wanted),
  last_message_contains: (sent, wanted) => contains(messageText(sent.messages.at(-1)), wanted),
  last_message_matches: (sent, wanted) => matches(messageText(sent.messages.at(-1)), wanted),
  any_message_contains: (sent, wanted) => contains(sent.messages.map(messageText).join("\n"), wanted),
  tool_result_contains: (sent, wanted) => contains(lastToolText(sent), wanted),
  tool_result_matches: (sent, wanted) => matches(lastToolText(sent), wanted),
  tool_is_error: (sent, wanted) => {
    const last = sent.messages.at(-1);
    return last?.role === "tool" && last.results.some((result) => result.isError) === wanted;
  },
  last_tool: (sent, wanted) => {
    const last = sent.messages.at(-1);
    return last?.role === "tool" && last.results.some((result) => result.name === wanted);
  },
  tools_include: (sent, wanted) => list(wanted).every((name) => sent.tools.includes(name)),
  turn: (sent, wanted) => answersIn(sent) + 1 === wanted,
  json: (sent, wanted) => sent.json === wanted,
};

function list(wanted: string | readonly string[]): readonly string[] {
  return typeof wanted === "string" ? [wanted] : wanted;
}

function contains(text: string, wanted: string | readonly string[]): boolean {
  return list(wanted).every((part) => text.includes(part));
}

function matches(text: string, wanted: string): false | Captures {
  const found = new RegExp(wanted, "m").exec(text);
  return found === null ? false : { ...found.groups };
}
