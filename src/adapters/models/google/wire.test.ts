import { expect, test } from "vitest";
import type { JsonObject } from "../../../base/json.ts";
import { NOTHING_SEEN } from "../ai-sdk/dialect.ts";
import { googleUsage, observeGoogle } from "./wire.ts";

const see = (events: readonly JsonObject[]) => events.reduce(observeGoogle, NOTHING_SEEN);

/** As streamed by the API: usage with every chunk, thoughts only once they are counted. */
const STREAM: readonly JsonObject[] = [
  {
    candidates: [{ content: { parts: [{ text: "Hel" }], role: "model" }, index: 0 }],
    usageMetadata: {
      promptTokenCount: 5_200,
      totalTokenCount: 5_200,
      promptTokensDetails: [{ modality: "TEXT", tokenCount: 5_200 }],
    },
    modelVersion: "gemini-2.5-pro",
    responseId: "r",
  },
  {
    candidates: [{ content: { parts: [{ text: "lo" }], role: "model" }, finishReason: "STOP", index: 0 }],
    usageMetadata: {
      promptTokenCount: 5_200,
      candidatesTokenCount: 31,
      totalTokenCount: 5_931,
      cachedContentTokenCount: 4_096,
      thoughtsTokenCount: 700,
    },
    modelVersion: "gemini-2.5-pro",
  },
];

test("the cache is taken out of the prompt, and thoughts stay out of the output", () => {
  expect(see(STREAM)).toMatchObject({
    complete: true,
    model: "gemini-2.5-pro",
    usage: { input: 1_104, cacheRead: 4_096, cacheWrite: 0, output: 31, reasoning: 700 },
  });
});

test("the buckets add up to the total that the provider reports", () => {
  const usage = see(STREAM).usage!;
  expect(Object.values(usage).reduce((a, b) => a + b, 0)).toBe(5_931);
});

test("what tools brought to the prompt counts", () => {
  const raw = { promptTokenCount: 10, toolUsePromptTokenCount: 90, candidatesTokenCount: 1 };
  expect(googleUsage(raw)).toMatchObject({ input: 100, output: 1 });
});

test("usage without a finish reason is not an end", () => {
  expect(see(STREAM.slice(0, 1))).toMatchObject({ complete: false, usage: { input: 5_200 } });
});

test("a blocked prompt is an end", () => {
  const blocked = { promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 7 } };
  expect(see([blocked])).toMatchObject({ complete: true, usage: { input: 7 } });
});

test("an answer that goes on in another request is not at its end, and costs both", () => {
  const first = { candidates: [{ finishReason: "CONTINUATION" }], usageMetadata: STREAM[1]!.usageMetadata! };
  expect(see([first]).complete).toBe(false);
  expect(see([first, ...STREAM])).toMatchObject({
    complete: true,
    usage: { input: 2_208, cacheRead: 8_192, output: 62, reasoning: 1_400 },
  });
});

test("an error keeps its code", () => {
  const error = { error: { code: 503, message: "overloaded", status: "UNAVAILABLE" } };
  expect(see([error]).error).toEqual({ kind: "UNAVAILABLE", message: "overloaded", status: 503 });
});
