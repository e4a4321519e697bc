import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import { addUsage, type Usage } from "../../../domain/message.ts";
import { count, type WireView, word } from "../ai-sdk/dialect.ts";

/** A long answer may come in several requests; this reason says that the next one follows. */
const CONTINUES = "CONTINUATION";

/** Folds one chunk of `:streamGenerateContent`. Usage is repeated with every chunk; the end is a finish reason or a block. */
export function observeGoogle(view: WireView, event: JsonObject): WireView {
  const { error } = event;
  if (isJsonObject(error)) {
    const status = typeof error.code === "number" ? { status: error.code } : {};
    return {
      ...view,
      error: { kind: word(error.status), message: word(error.message), ...status },
    };
  }
  const before = banked(view);
  const said = isJsonObject(event.usageMetadata) ? googleUsage(event.usageMetadata) : null;
  const usage = said === null ? view.usage : before === null ? said : addUsage(before, said);
  const model = typeof event.modelVersion === "string" ? event.modelVersion : view.model;
  const next = { ...view, usage, model };
  const finish = finishOf(event);
  if (finish === CONTINUES) return usage === null ? next : { ...next, raw: { banked: { ...usage } } };
  return finish === null ? next : { ...next, complete: true };
}

/** The prompt counts the cache in, and what tools brought to it comes beside; thoughts are not among the candidates. */
export function googleUsage(raw: JsonObject): Usage | null {
  if (typeof raw.promptTokenCount !== "number") return null;
  const prompt = count(raw.promptTokenCount) + count(raw.toolUsePromptTokenCount);
  const cacheRead = Math.min(prompt, count(raw.cachedContentTokenCount));
  return {
    input: prompt - cacheRead,
    cacheRead,
    cacheWrite: 0,
    output: count(raw.candidatesTokenCount),
    reasoning: count(raw.thoughtsTokenCount),
  };
}

function finishOf(event: JsonObject): string | null {
  const feedback = event.promptFeedback;
  if (isJsonObject(feedback) && typeof feedback.blockReason === "string") return feedback.blockReason;
  const candidates = event.candidates;
  const first: unknown = Array.isArray(candidates) ? candidates[0] : undefined;
  return isJsonObject(first) && typeof first.finishReason === "string" ? first.finishReason : null;
}

function banked(view: WireView): Usage | null {
  const kept = view.raw?.banked;
  return isJsonObject(kept) ? (kept as unknown as Usage) : null;
}
