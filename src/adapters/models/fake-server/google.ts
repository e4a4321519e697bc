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
  sse,
  text,
  type Variant,
} from "./protocol.ts";

const ERRORS: Readonly<Record<StatusFault, readonly [code: number, status: string, message: string]>> = {
  overloaded: [503, "UNAVAILABLE", "The model is overloaded. Please try again later."],
  rate_limited: [429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."],
  unavailable: [500, "INTERNAL", "An internal error has occurred."],
  auth: [400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."],
  invalid_request: [400, "INVALID_ARGUMENT", "Please use a valid role: user, model."],
  context_overflow: [
    400,
    "INVALID_ARGUMENT",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
  ],
};

const PATH = /\/models\/(.+):(streamGenerateContent|generateContent)$/;

export const google: Protocol = {
  name: "google",
  contentType: "text/event-stream",
  comment: ": keep-alive\n\n",
  broken: 'data: {"candidates": [{"content": {"parts": [{"text"\n\n',
  inBand: sse({ error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } }),
  error: (kind) => {
    const [code, status, message] = ERRORS[kind];
    return { status: code, body: { error: { code, message, status } } };
  },
  read: (path, body) => {
    const found = PATH.exec(path);
    if (found === null) return null;
    return readRequest(decodeURIComponent(found[1] ?? ""), found[2] === "streamGenerateContent", body);
  },
  frames: (played, asked, variant) => {
    const chunk = (part: JsonObject | null, finish?: string) =>
      sse({
        candidates: [
          {
            content: { parts: part === null ? [] : [part], role: "model" },
            index: 0,
            ...(finish === undefined ? {} : { finishReason: finish }),
          },
        ],
        ...(variant.usage ? { usageMetadata: usageOf(played) } : {}),
        ...shell(asked),
      });
    return {
      head: [],
      body: parts(played, true).map((part) => chunk(part)),
      tail: [chunk(null, finishReason(played, variant))],
    };
  },
  whole: (played, asked, variant) => ({
    candidates: [
      {
        content: { parts: parts(played, false), role: "model" },
        index: 0,
        finishReason: finishReason(played, variant),
      },
    ],
    ...(variant.usage ? { usageMetadata: usageOf(played) } : {}),
    ...shell(asked),
  }),
};

function readRequest(model: string, stream: boolean, body: JsonObject): Asked {
  const talk = new Conversation();
  for (const content of objects(body.contents)) {
    const found = objects(content.parts);
    const said = text(found.filter((part) => part.thought !== true));
    if (content.role === "model") {
      const calls = found.flatMap((part, index) => {
        const call = object(part.functionCall);
        if (part.functionCall === undefined) return [];
        return [{ id: String(call.id ?? `call_${index}`), name: String(call.name), input: call.args ?? {} }];
      });
      talk.assistant(said, calls);
      continue;
    }
    for (const part of found) {
      if (part.functionResponse === undefined) continue;
      const { name, id, response } = object(part.functionResponse);
      const { error, content: answer } = object(response);
      const shown = error ?? answer ?? response ?? "";
      const result = typeof shown === "string" ? shown : JSON.stringify(shown);
      talk.result(String(id ?? ""), result, error !== undefined, String(name));
    }
    if (said !== "") talk.user(said);
  }
  const declarations = objects(body.tools).flatMap((tool) => objects(tool.functionDeclarations));
  return {
    model,
    stream,
    sent: {
      system: text(object(body.systemInstruction).parts),
      messages: talk.messages,
      tools: declarations.map((tool) => String(tool.name)),
      json: object(body.generationConfig).responseMimeType === "application/json",
    },
  };
}

function parts(played: Played, split: boolean): JsonObject[] {
  const cut = (whole: string) => (whole === "" ? [] : split ? pieces(whole) : [whole]);
  return [
    ...cut(played.reasoning).map((piece) => ({ text: piece, thought: true })),
    ...cut(played.text).map((piece) => ({ text: piece })),
    ...played.toolCalls.map((call) => ({
      functionCall: { id: call.id, name: call.name, args: call.input },
      ...(played.reasoning === ""
        ? {}
        : { thoughtSignature: Buffer.from(played.reasoning).toString("base64") }),
    })),
  ];
}

function shell(asked: Asked): JsonObject {
  return { modelVersion: asked.model, responseId: "fake" };
}

function finishReason(played: Played, variant: Variant): string {
  if (variant.refused) return "SAFETY";
  return played.finish === "length" ? "MAX_TOKENS" : "STOP";
}

function usageOf({ usage }: Played): JsonObject {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    promptTokenCount: prompt,
    candidatesTokenCount: usage.output,
    totalTokenCount: prompt + usage.output + usage.reasoning,
    ...(usage.cacheRead > 0 ? { cachedContentTokenCount: usage.cacheRead } : {}),
    ...(usage.reasoning > 0 ? { thoughtsTokenCount: usage.reasoning } : {}),
  };
}
