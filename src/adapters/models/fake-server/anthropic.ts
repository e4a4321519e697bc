import type { JsonObject } from "../../../base/json.ts";
import type { Played } from "../script/play.ts";
import {
  type Asked,
  Conversation,
  object,
  objects,
  type Protocol,
  parseJson,
  pieces,
  type StatusFault,
  sse,
  text,
  type Variant,
} from "./protocol.ts";

const ERRORS: Readonly<Record<StatusFault, readonly [status: number, type: string, message: string]>> = {
  overloaded: [529, "overloaded_error", "Overloaded"],
  rate_limited: [429, "rate_limit_error", "This request would exceed your rate limit."],
  unavailable: [500, "api_error", "Internal server error"],
  auth: [401, "authentication_error", "invalid x-api-key"],
  invalid_request: [400, "invalid_request_error", "messages.0: unexpected role"],
  context_overflow: [400, "invalid_request_error", "prompt is too long: 204857 tokens > 200000 maximum"],
};

export const anthropic: Protocol = {
  name: "anthropic",
  contentType: "text/event-stream; charset=utf-8",
  comment: ": keep-alive\n\n",
  speaks: (frame) => frame.startsWith("event: content_block_delta") && !frame.includes('"signature_delta"'),
  broken: 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type"\n\n',
  inBand: sse({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, "error"),
  error: (kind) => {
    const [status, type, message] = ERRORS[kind];
    return { status, body: { type: "error", error: { type, message }, request_id: "req_fake" } };
  },
  read: (path, body) => (/\/v1\/messages$/.test(path) ? readRequest(body) : null),
  frames: (played, asked, variant) => {
    const event = (type: string, data: JsonObject) => sse({ type, ...data }, type);
    const { input_tokens, ...rest } = usageOf(played);
    const start = { ...rest, input_tokens, output_tokens: 1 };
    const message = { ...shell(asked), content: [], stop_reason: null, usage: start };
    return {
      head: [event("message_start", { message }), event("ping", {})],
      body: blocks(played, asked).flatMap((block, index) => [
        event("content_block_start", { index, content_block: block.start }),
        ...block.deltas.map((delta) => event("content_block_delta", { index, delta })),
        event("content_block_stop", { index }),
      ]),
      tail: [
        event("message_delta", {
          delta: { stop_reason: stopReason(played, variant), stop_sequence: null },
          ...(variant.usage ? { usage: usageOf(played) } : {}),
        }),
        event("message_stop", {}),
      ],
    };
  },
  whole: (played, asked, variant) => ({
    ...shell(asked),
    content: blocks(played, asked).map((block) => block.whole),
    stop_reason: stopReason(played, variant),
    stop_sequence: null,
    ...(variant.usage ? { usage: usageOf(played) } : {}),
  }),
};

function readRequest(body: JsonObject): Asked {
  const talk = new Conversation();
  for (const message of objects(body.messages)) {
    if (message.role === "assistant") {
      const calls = objects(message.content).filter((part) => part.type === "tool_use");
      talk.assistant(
        text(message.content),
        calls.map((call) => ({ id: String(call.id), name: String(call.name), input: call.input ?? {} })),
      );
      continue;
    }
    const results = objects(message.content).filter((part) => part.type === "tool_result");
    for (const result of results) {
      talk.result(String(result.tool_use_id), text(result.content), result.is_error === true);
    }
    const said = text(message.content);
    if (said !== "" || results.length === 0) talk.user(said);
  }
  const tools = objects(body.tools).map((tool) => String(tool.name));
  const choice = object(body.tool_choice).type;
  const byTool = tools.includes("json") && (choice === "any" || choice === "tool");
  const format = body.output_format ?? object(body.output_config).format;
  return {
    model: String(body.model),
    stream: body.stream === true,
    sent: { system: text(body.system), messages: talk.messages, tools, json: byTool || format !== undefined },
    ...(byTool ? { jsonTool: "json" } : {}),
  };
}

interface Block {
  readonly start: JsonObject;
  readonly deltas: readonly JsonObject[];
  readonly whole: JsonObject;
}

function blocks(played: Played, asked: Asked): Block[] {
  const made: Block[] = [];
  if (played.reasoning !== "") made.push(thinking(played.reasoning));
  if (asked.jsonTool !== undefined) {
    made.push(toolUse({ id: "toolu_json", name: asked.jsonTool, input: parseJson(played.text) }));
  } else if (played.text !== "") {
    made.push({
      start: { type: "text", text: "" },
      deltas: pieces(played.text).map((piece) => ({ type: "text_delta", text: piece })),
      whole: { type: "text", text: played.text },
    });
  }
  return [...made, ...played.toolCalls.map(toolUse)];
}

function thinking(reasoning: string): Block {
  const signature = Buffer.from(reasoning).toString("base64");
  return {
    start: { type: "thinking", thinking: "", signature: "" },
    deltas: [
      ...pieces(reasoning).map((piece) => ({ type: "thinking_delta", thinking: piece })),
      { type: "signature_delta", signature },
    ],
    whole: { type: "thinking", thinking: reasoning, signature },
  };
}

function toolUse(call: Played["toolCalls"][number]): Block {
  const whole = { type: "tool_use", id: call.id, name: call.name, input: call.input };
  return {
    start: { ...whole, input: {} },
    deltas: pieces(JSON.stringify(call.input)).map((piece) => ({
      type: "input_json_delta",
      partial_json: piece,
    })),
    whole,
  };
}

function shell(asked: Asked): JsonObject {
  return { id: "msg_fake", type: "message", role: "assistant", model: asked.model };
}

function stopReason(played: Played, variant: Variant): string {
  if (variant.refused) return "refusal";
  return { stop: "end_turn", tool_calls: "tool_use", length: "max_tokens" }[played.finish];
}

function usageOf({ usage }: Played): JsonObject & { readonly input_tokens: number } {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens: usage.output + usage.reasoning,
    ...(usage.reasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}),
  };
}
