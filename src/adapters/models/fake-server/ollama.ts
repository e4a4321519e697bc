import type { JsonObject } from "../../../base/json.ts";
import type { Played } from "../script/play.ts";
import {
  type Asked,
  Conversation,
  object,
  objects,
  type Protocol,
  pieces,
  type StatusFault,
  saysError,
  text,
  type Variant,
} from "./protocol.ts";

const ERRORS: Readonly<Record<StatusFault, readonly [status: number, message: string]>> = {
  overloaded: [503, "server busy, please try again.  maximum pending requests exceeded"],
  rate_limited: [429, "you've reached your hourly usage limit"],
  unavailable: [500, "llama runner process has terminated: signal: killed"],
  auth: [401, "unauthorized"],
  invalid_request: [400, "invalid role"],
  context_overflow: [
    400,
    "request (351 tokens) exceeds the available context size (256 tokens), try increasing it",
  ],
};

export const ollama: Protocol = {
  name: "ollama",
  contentType: "application/x-ndjson",
  comment: "",
  broken: '{"model":"fake","message":{"role":"assistant","content":\n',
  inBand: line({ error: "server overloaded: an error was encountered while running the model" }),
  error: (kind) => {
    const [status, message] = ERRORS[kind];
    return { status, body: { error: message } };
  },
  read: (path, body) => (/\/api\/chat$/.test(path) ? readRequest(body) : null),
  frames: (played, asked, variant) => {
    const say = (message: JsonObject) =>
      line({ ...shell(asked), message: { role: "assistant", content: "", ...message }, done: false });
    return {
      head: [],
      body: [
        ...pieces(played.reasoning).map((piece) => say({ thinking: piece })),
        ...pieces(played.text).map((piece) => say({ content: piece })),
        ...played.toolCalls.map((call) => say({ tool_calls: [toolCall(call)] })),
      ],
      tail: [
        line({ ...shell(asked), message: { role: "assistant", content: "" }, ...ending(played, variant) }),
      ],
    };
  },
  whole: (played, asked, variant) => ({
    ...shell(asked),
    message: {
      role: "assistant",
      content: played.text,
      ...(played.reasoning === "" ? {} : { thinking: played.reasoning }),
      ...(played.toolCalls.length === 0 ? {} : { tool_calls: played.toolCalls.map(toolCall) }),
    },
    ...ending(played, variant),
  }),
};

function line(value: JsonObject): string {
  return `${JSON.stringify(value)}\n`;
}

function readRequest(body: JsonObject): Asked {
  const talk = new Conversation();
  const system: string[] = [];
  for (const message of objects(body.messages)) {
    const said = text(message.content);
    if (message.role === "system") system.push(said);
    else if (message.role === "tool") talk.result(String(message.tool_call_id), said, saysError(said));
    else if (message.role === "assistant") {
      const calls = objects(message.tool_calls).map((call) => ({
        id: String(call.id),
        name: String(object(call.function).name),
        input: object(call.function).arguments ?? {},
      }));
      talk.assistant(said, calls);
    } else talk.user(said);
  }
  return {
    model: String(body.model),
    stream: body.stream !== false,
    sent: {
      system: system.join("\n"),
      messages: talk.messages,
      tools: objects(body.tools).map((tool) => String(object(tool.function).name)),
      json: body.format !== undefined,
    },
  };
}

function shell(asked: Asked): JsonObject {
  return { model: asked.model, created_at: "2026-01-01T00:00:00.000000000Z" };
}

function toolCall(call: Played["toolCalls"][number]): JsonObject {
  return { id: call.id, function: { name: call.name, arguments: call.input } };
}

/** Ollama has no word for a refusal of its own; a model's refusal is text. This one is what compatible servers say. */
function ending(played: Played, variant: Variant): JsonObject {
  const reason = variant.refused ? "content_filter" : played.finish === "length" ? "length" : "stop";
  const { usage } = played;
  return {
    done: true,
    done_reason: reason,
    total_duration: 1_000_000,
    load_duration: 1_000,
    ...(variant.usage
      ? {
          prompt_eval_count: usage.input + usage.cacheRead + usage.cacheWrite,
          prompt_eval_duration: 1_000,
          eval_count: usage.output + usage.reasoning,
          eval_duration: 1_000,
        }
      : {}),
  };
}
