import { expect, test } from "vitest";
import type { JsonObject } from "../../../base/json.ts";
import { NOTHING_SEEN } from "../ai-sdk/dialect.ts";
import { anthropicUsage, observeAnthropic } from "./wire.ts";

const see = (events: readonly JsonObject[]) => events.reduce(observeAnthropic, NOTHING_SEEN);

/** As streamed by the API for a cached prompt with thinking. */
const STREAM: readonly JsonObject[] = [
  {
    type: "message_start",
    message: {
      id: "msg_01",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5-20250929",
      content: [],
      stop_reason: null,
      usage: {
        input_tokens: 3,
        cache_creation_input_tokens: 412,
        cache_read_input_tokens: 18_120,
        cache_creation: { ephemeral_5m_input_tokens: 412, ephemeral_1h_input_tokens: 0 },
        output_tokens: 1,
        service_tier: "standard",
      },
    },
  },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "ping" },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
  { type: "content_block_stop", index: 0 },
  {
    type: "message_delta",
    delta: { stop_reason: "end_turn", stop_sequence: null },
    usage: { output_tokens: 215, cache_read_input_tokens: null },
  },
  { type: "message_stop" },
];

test("input leaves the cache out, and what came first is kept", () => {
  expect(see(STREAM)).toMatchObject({
    complete: true,
    model: "claude-sonnet-4-5-20250929",
    error: null,
    usage: { input: 3, cacheRead: 18_120, cacheWrite: 412, output: 215, reasoning: 0 },
  });
});

test("a later event corrects an earlier count", () => {
  const corrected = { type: "message_delta", usage: { input_tokens: 9, output_tokens: 5 } };
  expect(see([STREAM[0]!, corrected]).usage).toMatchObject({ input: 9, cacheRead: 18_120, output: 5 });
});

test("thinking is taken out of the output that counts it in", () => {
  const raw = { input_tokens: 10, output_tokens: 900, output_tokens_details: { thinking_tokens: 640 } };
  expect(anthropicUsage(raw)).toEqual({
    input: 10,
    cacheRead: 0,
    cacheWrite: 0,
    output: 260,
    reasoning: 640,
  });
});

test("no end is seen before the end, and no usage without both counts", () => {
  expect(see(STREAM.slice(0, -1)).complete).toBe(false);
  expect(see(STREAM.slice(0, 5)).usage).toBeNull();
  expect(anthropicUsage({ output_tokens: 4 })).toBeNull();
  expect(see([{ type: "message_delta", delta: {}, usage: { output_tokens: 4 } }]).usage).toBeNull();
});

test("an error event is an error, and an unknown event is nothing", () => {
  const error = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
  expect(see([error]).error).toEqual({ kind: "overloaded_error", message: "Overloaded" });
  expect(see([{ type: "something_new" }])).toEqual(NOTHING_SEEN);
});
