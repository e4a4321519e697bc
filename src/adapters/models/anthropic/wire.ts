import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import type { Usage } from "../../../domain/message.ts";
import { count, type WireView, word } from "../ai-sdk/dialect.ts";

/** Folds one event of `/v1/messages`. The prompt's usage comes with `message_start`, the rest with `message_delta`. */
export function observeAnthropic(view: WireView, event: JsonObject): WireView {
  switch (event.type) {
    case "message_start": {
      const message = isJsonObject(event.message) ? event.message : {};
      const model = typeof message.model === "string" ? message.model : view.model;
      return { ...view, model, ...(isJsonObject(message.usage) ? { raw: message.usage } : {}) };
    }
    case "message_delta": {
      const { usage } = event;
      if (!isJsonObject(usage) || typeof usage.output_tokens !== "number") return view;
      const raw = { ...view.raw, ...withoutNulls(usage) };
      return { ...view, raw, usage: anthropicUsage(raw) };
    }
    case "message_stop":
      return { ...view, complete: true };
    case "error": {
      const error = isJsonObject(event.error) ? event.error : {};
      return {
        ...view,
        error: { kind: word(error.type), message: word(error.message) },
      };
    }
    default:
      return view;
  }
}

/** Anthropic's `input_tokens` leaves the cache out; its `output_tokens` counts the thinking in. */
export function anthropicUsage(raw: JsonObject): Usage | null {
  if (typeof raw.input_tokens !== "number" || typeof raw.output_tokens !== "number") return null;
  const details = isJsonObject(raw.output_tokens_details) ? raw.output_tokens_details : {};
  const output = count(raw.output_tokens);
  const reasoning = Math.min(output, count(details.thinking_tokens));
  return {
    input: count(raw.input_tokens),
    cacheRead: count(raw.cache_read_input_tokens),
    cacheWrite: count(raw.cache_creation_input_tokens),
    output: output - reasoning,
    reasoning,
  };
}

function withoutNulls(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
}
