import { expect, test } from "vitest";
import type { JsonObject } from "../../../base/json.ts";
import { NOTHING_SEEN } from "../ai-sdk/dialect.ts";
import { observeOllama, ollamaUsage } from "./wire.ts";

const see = (lines: readonly JsonObject[]) => lines.reduce(observeOllama, NOTHING_SEEN);
const said = {
  model: "qwen3:8b",
  created_at: "2026-01-01T00:00:00Z",
  message: { role: "assistant", content: "Hi" },
};
const done = {
  model: "qwen3:8b",
  created_at: "2026-01-01T00:00:01Z",
  message: { role: "assistant", content: "" },
  done: true,
  done_reason: "stop",
  total_duration: 4_883_583_458,
  load_duration: 1_334_875,
  prompt_eval_count: 26,
  prompt_eval_duration: 342_546_000,
  eval_count: 282,
  eval_duration: 4_535_599_000,
};

test("the last line says it all", () => {
  expect(see([{ ...said, done: false }, done])).toEqual({
    complete: true,
    model: "qwen3:8b",
    error: null,
    usage: { input: 26, cacheRead: 0, cacheWrite: 0, output: 282, reasoning: 0 },
  });
});

test("a count that is left out is zero; without any there is no usage", () => {
  expect(ollamaUsage({ done: true, eval_count: 3 })).toMatchObject({ input: 0, output: 3 });
  expect(ollamaUsage({ done: true, done_reason: "load" })).toBeNull();
});

test("an answer cut short stays cut short, even where it called tools", () => {
  expect(see([{ ...done, done_reason: "length" }]).reason).toBe("length");
});

test("an error in the stream is seen", () => {
  expect(see([{ ...said, done: false }, { error: "model runner has unexpectedly stopped" }]).error).toEqual({
    kind: "",
    message: "model runner has unexpectedly stopped",
  });
});
