import { isJsonObject, type Json } from "../../../base/json.ts";
import { fail, ok, type Result } from "../../../domain/errors.ts";
import type { ToolCall, Usage } from "../../../domain/message.ts";
import type { Choice } from "./choose.ts";
import { lastToolText, messageText, type Sent } from "./sent.ts";

export interface Played {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finish: "stop" | "tool_calls" | "length";
  readonly usage: Usage;
}

const CHARS_PER_TOKEN = 4;

/** The answer of a chosen turn: its placeholders filled in, its identifiers and its usage the same on every try. */
export function playTurn(choice: Choice, sent: Sent): Result<Played> {
  const { turn } = choice;
  const missing = new Set<string>();
  const fill = (text: string) => fillIn(text, { choice, sent, missing });
  const text = fill(turn.text ?? "");
  const toolCalls = (turn.tool_calls ?? []).map((call, index) => ({
    id: `call_${choice.position}_${index + 1}`,
    name: call.name,
    input: mapStrings(call.input, fill),
  }));
  if (missing.size > 0) {
    const names = [...missing].map((name) => `\${capture.${name}}`).join(", ");
    return fail(
      "script_mismatch",
      `${choice.label} uses ${names}, which no pattern of the turn has captured`,
    );
  }
  const reasoning = turn.reasoning ?? "";
  const estimate = {
    input: tokens(sent.system + sent.messages.map(messageText).join("\n")),
    output: tokens(text + toolCalls.map((call) => JSON.stringify(call.input)).join("")),
    reasoning: reasoning === "" ? 0 : tokens(reasoning),
  };
  return ok({
    text,
    reasoning,
    toolCalls,
    finish: turn.finish ?? (toolCalls.length > 0 ? "tool_calls" : "stop"),
    usage: {
      input: turn.usage?.input ?? estimate.input,
      cacheRead: turn.usage?.cache_read ?? 0,
      cacheWrite: turn.usage?.cache_write ?? 0,
      output: turn.usage?.output ?? estimate.output,
      reasoning: turn.usage?.reasoning ?? estimate.reasoning,
    },
  });
}

function tokens(text: string): number {
  return Math.max(1, Math.ceil(text.length / CHARS_PER_TOKEN));
}

/** Only these three are placeholders; any other `${…}` is left alone, because scripts write code. */
const PLACEHOLDER = /\$\{(last_tool_result|last_message|capture\.([A-Za-z_]\w*))\}/g;

function fillIn(
  text: string,
  from: { readonly choice: Choice; readonly sent: Sent; readonly missing: Set<string> },
): string {
  return text.replaceAll(PLACEHOLDER, (_, name: string, capture: string | undefined) => {
    if (name === "last_tool_result") return lastToolText(from.sent);
    if (name === "last_message" || capture === undefined) return messageText(from.sent.messages.at(-1));
    const found = from.choice.captures[capture];
    if (found === undefined) from.missing.add(capture);
    return found ?? "";
  });
}

function mapStrings(value: Json, change: (text: string) => string): Json {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item: Json) => mapStrings(item, change));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapStrings(member, change)]));
}
