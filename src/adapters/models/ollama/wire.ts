import type { JsonObject } from "../../../base/json.ts";
import type { Usage } from "../../../domain/message.ts";
import { count, type WireView, word } from "../ai-sdk/dialect.ts";

/** The SDK takes an answer with tool calls for a whole one, whatever the server says. */
const REASONS: Readonly<Record<string, WireView["reason"]>> = {
  length: "length",
  content_filter: "content-filter",
};

/** Folds one line of `/api/chat`. Everything about the end is in the last line, which says `done`. */
export function observeOllama(view: WireView, line: JsonObject): WireView {
  const { error } = line;
  if (error !== undefined) {
    const message = typeof error === "string" ? error : JSON.stringify(error);
    return { ...view, error: { kind: "", message } };
  }
  const model = typeof line.model === "string" ? line.model : view.model;
  if (line.done !== true) return { ...view, model };
  const reason = REASONS[word(line.done_reason)];
  return {
    ...view,
    model,
    complete: true,
    usage: ollamaUsage(line),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** A count of zero is left out of the line; a line without either count says nothing about usage. */
export function ollamaUsage(line: JsonObject): Usage | null {
  if (line.prompt_eval_count === undefined && line.eval_count === undefined) return null;
  return {
    input: count(line.prompt_eval_count),
    cacheRead: 0,
    cacheWrite: 0,
    output: count(line.eval_count),
    reasoning: 0,
  };
}
