import { isJsonObject, type Json, type JsonObject } from "../../../base/json.ts";
import type { Usage } from "../../../domain/message.ts";
import { count, type InBandError, type WireView, word } from "../ai-sdk/dialect.ts";

/** Folds one chunk of `/chat/completions`. Usage comes in the last chunk, which has no choices. */
export function observeOpenAi(view: WireView, event: JsonObject): WireView {
  const error = errorOf(event);
  if (error !== null) return { ...view, error };
  const model = typeof event.model === "string" && event.model !== "" ? event.model : view.model;
  const usage = isJsonObject(event.usage) ? openAiUsage(event.usage) : view.usage;
  const choices = event.choices;
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const ended = isJsonObject(first) && typeof first.finish_reason === "string";
  return { ...view, model, usage, complete: view.complete || ended };
}

/** The prompt counts the cache in. Most servers count reasoning in the completion; some count it beside. */
export function openAiUsage(raw: JsonObject): Usage | null {
  if (typeof raw.prompt_tokens !== "number") return null;
  const prompt = count(raw.prompt_tokens);
  const promptDetails = detailsOf(raw.prompt_tokens_details);
  const cacheRead = Math.min(prompt, count(promptDetails.cached_tokens ?? raw.prompt_cache_hit_tokens));
  const cacheWrite = Math.min(prompt - cacheRead, count(promptDetails.cache_write_tokens));
  const completion = count(raw.completion_tokens);
  const reasoning = count(detailsOf(raw.completion_tokens_details).reasoning_tokens);
  const beside = reasoning > completion || count(raw.total_tokens) === prompt + completion + reasoning;
  return {
    input: prompt - cacheRead - cacheWrite,
    cacheRead,
    cacheWrite,
    output: beside ? completion : completion - reasoning,
    reasoning,
  };
}

function detailsOf(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** `{error: {…}}`, `{error: "…"}`, or the flat `{object: "error", message}` of some servers. */
function errorOf(event: JsonObject): InBandError | null {
  const { error } = event;
  if (typeof error === "string") return { kind: "", message: error };
  const body = isJsonObject(error) ? error : event.object === "error" ? event : null;
  if (body === null) return null;
  const kind = [body.type, body.code].find((value) => typeof value === "string");
  const status = typeof body.code === "object" ? Number.NaN : Number(body.code);
  return {
    kind: word(kind),
    message: word(body.message),
    ...(status >= 400 && status < 600 ? { status } : {}),
  };
}
