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
  saysError,
  sse,
  text,
  type Variant,
} from "./protocol.ts";

const ERRORS: Readonly<
  Record<StatusFault, readonly [status: number, type: string, code: string | null, message: string]>
> = {
  overloaded: [503, "server_error", null, "The server is currently overloaded. Please try again later."],
  rate_limited: [429, "requests", "rate_limit_exceeded", "Rate limit reached for requests per min."],
  unavailable: [500, "server_error", null, "The server had an error while processing your request."],
  auth: [401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."],
  invalid_request: [400, "invalid_request_error", null, "Invalid value for 'messages[0].role'."],
  context_overflow: [
    400,
    "invalid_request_error",
    "context_length_exceeded",
    "This model's maximum context length is 128000 tokens. Please reduce the length of the messages.",
  ],
};

export const openai: Protocol = {
  name: "openai",
  contentType: "text/event-stream; charset=utf-8",
  comment: ": OPENROUTER PROCESSING\n\n",
  broken: 'data: {"id":"chatcmpl-fake","choices":[{"index":0,"delta":{"content"\n\n',
  inBand: sse({ error: { message: "The server is overloaded", type: "overloaded_error", code: null } }),
  error: (kind) => {
    const [status, type, code, message] = ERRORS[kind];
    return { status, body: { error: { message, type, param: null, code } } };
  },
  read: (path, body) => (/\/chat\/completions$/.test(path) ? readRequest(body) : null),
  frames: (played, asked, variant) => {
    const chunk = (delta: JsonObject, finish: string | null = null) =>
      sse({
        ...shell(asked, "chat.completion.chunk"),
        choices: [{ index: 0, delta, finish_reason: finish }],
      });
    const usage = { ...shell(asked, "chat.completion.chunk"), choices: [], usage: usageOf(played) };
    return {
      head: [chunk({ role: "assistant", content: "" })],
      body: [
        ...pieces(played.reasoning).map((piece) => chunk({ reasoning_content: piece })),
        ...pieces(played.text).map((piece) => chunk({ content: piece })),
        ...played.toolCalls.flatMap((call, index) => [
          chunk({
            tool_calls: [
              { index, id: call.id, type: "function", function: { name: call.name, arguments: "" } },
            ],
          }),
          ...pieces(JSON.stringify(call.input)).map((piece) =>
            chunk({ tool_calls: [{ index, function: { arguments: piece } }] }),
          ),
        ]),
      ],
      tail: [
        chunk({}, finishReason(played, variant)),
        ...(variant.usage ? [sse(usage)] : []),
        "data: [DONE]\n\n",
      ],
    };
  },
  whole: (played, asked, variant) => ({
    ...shell(asked, "chat.completion"),
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: played.text,
          ...(played.reasoning === "" ? {} : { reasoning_content: played.reasoning }),
          ...(played.toolCalls.length === 0 ? {} : { tool_calls: played.toolCalls.map(toolCall) }),
        },
        finish_reason: finishReason(played, variant),
      },
    ],
    ...(variant.usage ? { usage: usageOf(played) } : {}),
  }),
};

function readRequest(body: JsonObject): Asked {
  const talk = new Conversation();
  const system: string[] = [];
  for (const message of objects(body.messages)) {
    const said = text(message.content);
    if (message.role === "system" || message.role === "developer") system.push(said);
    else if (message.role === "tool") talk.result(String(message.tool_call_id), said, saysError(said));
    else if (message.role === "assistant") {
      const calls = objects(message.tool_calls).map((call) => ({
        id: String(call.id),
        name: String(object(call.function).name),
        input: parseJson(String(object(call.function).arguments)),
      }));
      talk.assistant(said, calls);
    } else talk.user(said);
  }
  const format = object(body.response_format).type;
  return {
    model: String(body.model),
    stream: body.stream === true,
    sent: {
      system: system.join("\n"),
      messages: talk.messages,
      tools: objects(body.tools).map((tool) => String(object(tool.function).name)),
      json: format === "json_schema" || format === "json_object",
    },
  };
}

function shell(asked: Asked, kind: string): JsonObject {
  return { id: "chatcmpl-fake", object: kind, created: 1_760_000_000, model: asked.model };
}

function toolCall(call: Played["toolCalls"][number]): JsonObject {
  return {
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.input) },
  };
}

function finishReason(played: Played, variant: Variant): string {
  return variant.refused ? "content_filter" : played.finish;
}

function usageOf({ usage }: Played): JsonObject {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  const completion = usage.output + usage.reasoning;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}
