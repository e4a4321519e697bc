import { expect, test } from "vitest";
import type { JsonObject } from "../../../base/json.ts";
import { NOTHING_SEEN } from "../ai-sdk/dialect.ts";
import { observeOpenAi, openAiUsage } from "./wire.ts";

const see = (events: readonly JsonObject[]) => events.reduce(observeOpenAi, NOTHING_SEEN);
const chunk = (choices: JsonObject[], more: JsonObject = {}): JsonObject => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "gpt-5-2025-08-07",
  choices,
  ...more,
});

const STREAM: readonly JsonObject[] = [
  chunk([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }], { usage: null }),
  chunk([{ index: 0, delta: { content: "Hi" }, finish_reason: null }], { usage: null }),
  chunk([{ index: 0, delta: {}, finish_reason: "stop" }], { usage: null }),
  chunk([], {
    usage: {
      prompt_tokens: 2_006,
      completion_tokens: 300,
      total_tokens: 2_306,
      prompt_tokens_details: { cached_tokens: 1_920, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 192, accepted_prediction_tokens: 0 },
    },
  }),
];

test("cache is taken out of the prompt, reasoning out of the completion", () => {
  expect(see(STREAM)).toMatchObject({
    complete: true,
    model: "gpt-5-2025-08-07",
    usage: { input: 86, cacheRead: 1_920, cacheWrite: 0, output: 108, reasoning: 192 },
  });
});

test("an end without usage has no usage, and usage without an end is not an end", () => {
  expect(see(STREAM.slice(0, 3))).toMatchObject({ complete: true, usage: null });
  expect(see([STREAM[0]!, STREAM[3]!]).complete).toBe(false);
});

test.each<[string, JsonObject, JsonObject]>([
  [
    "reasoning counted beside the completion",
    {
      prompt_tokens: 32,
      completion_tokens: 9,
      total_tokens: 135,
      completion_tokens_details: { reasoning_tokens: 94 },
    },
    { input: 32, cacheRead: 0, cacheWrite: 0, output: 9, reasoning: 94 },
  ],
  [
    "a cache counted at the top",
    { prompt_tokens: 100, completion_tokens: 4, prompt_cache_hit_tokens: 64, prompt_cache_miss_tokens: 36 },
    { input: 36, cacheRead: 64, cacheWrite: 0, output: 4, reasoning: 0 },
  ],
  [
    "writes to the cache",
    {
      prompt_tokens: 100,
      completion_tokens: 4,
      prompt_tokens_details: { cached_tokens: 10, cache_write_tokens: 80 },
    },
    { input: 10, cacheRead: 10, cacheWrite: 80, output: 4, reasoning: 0 },
  ],
  [
    "no details at all",
    { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9, prompt_tokens_details: null },
    { input: 7, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 },
  ],
  [
    "a cache larger than the prompt",
    { prompt_tokens: 7, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 9 } },
    { input: 0, cacheRead: 7, cacheWrite: 0, output: 2, reasoning: 0 },
  ],
])("%s", (_, raw, usage) => {
  expect(openAiUsage(raw)).toEqual(usage);
});

test.each<[JsonObject, object]>([
  [
    { error: { message: "m", type: "server_error", code: 500 } },
    { kind: "server_error", message: "m", status: 500 },
  ],
  [{ error: { message: "m", code: "rate_limit_exceeded" } }, { kind: "rate_limit_exceeded", message: "m" }],
  [{ error: "boom" }, { kind: "", message: "boom" }],
  [
    { object: "error", message: "m", type: "BadRequestError", code: 400 },
    { kind: "BadRequestError", message: "m", status: 400 },
  ],
])("%j is an error", (event, error) => {
  expect(see([event]).error).toEqual(error);
});
