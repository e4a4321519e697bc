import type {
  JSONObject,
  LanguageModelV4CallOptions,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
} from "@ai-sdk/provider";
import type { ModelRequest } from "../../../contracts/model-provider.ts";
import type { Message } from "../../../domain/message.ts";
import type { Dialect } from "./dialect.ts";
import { readParts } from "./provider-data.ts";

type AssistantMessage = Extract<Message, { role: "assistant" }>;
type AssistantPart = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number];

/** Our request in the words of the AI SDK. */
export function toCallOptions(
  dialect: Dialect,
  request: ModelRequest,
  signal: AbortSignal,
): LanguageModelV4CallOptions {
  const prompt = toPrompt(dialect, request);
  return {
    prompt: dialect.annotate?.(prompt) ?? prompt,
    maxOutputTokens: request.maxOutputTokens,
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.tools.length === 0 ? {} : { tools: request.tools.map(toTool), toolChoice: { type: "auto" } }),
    ...(request.json === undefined
      ? {}
      : { responseFormat: { type: "json", schema: request.json as JSONObject, name: "answer" } }),
    ...(dialect.options === undefined ? {} : { providerOptions: dialect.options(request) }),
    // The raw events are what the end of a stream is judged by.
    includeRawChunks: true,
    abortSignal: signal,
  };
}

function toTool(
  tool: ModelRequest["tools"][number],
): NonNullable<LanguageModelV4CallOptions["tools"]>[number] {
  return {
    type: "function",
    name: tool.name,
    description: tool.description,
    inputSchema: tool.input as JSONObject,
  };
}

function toPrompt(dialect: Dialect, request: ModelRequest): LanguageModelV4Prompt {
  const system: LanguageModelV4Prompt =
    request.system === "" ? [] : [{ role: "system", content: request.system }];
  return [...system, ...request.messages.flatMap((message) => toMessages(dialect, message))];
}

function toMessages(dialect: Dialect, message: Message): LanguageModelV4Message[] {
  if (message.role === "user") return [{ role: "user", content: [{ type: "text", text: message.text }] }];
  if (message.role === "assistant") {
    const content = assistantParts(dialect.name, message);
    // Providers refuse a message without content, and it says nothing.
    return content.length === 0 ? [] : [{ role: "assistant", content }];
  }
  const content = message.results.map((result) => ({
    type: "tool-result" as const,
    toolCallId: result.callId,
    toolName: result.name,
    output: toOutput(dialect, result),
  }));
  return [{ role: "tool", content }];
}

function toOutput(
  dialect: Dialect,
  result: { readonly text: string; readonly isError: boolean },
): { type: "text" | "error-text"; value: string } {
  if (!result.isError) return { type: "text", value: result.text };
  const spoken = dialect.flagsToolErrors || /^error\b/i.test(result.text);
  return { type: "error-text", value: spoken ? result.text : `Error: ${result.text}` };
}

function assistantParts(provider: string, message: AssistantMessage): AssistantPart[] {
  const kept = readParts(provider, message);
  if (kept !== null) return kept;
  const text: AssistantPart[] = message.text === "" ? [] : [{ type: "text", text: message.text }];
  const calls = message.toolCalls.map(
    (call): AssistantPart => ({
      type: "tool-call",
      toolCallId: call.id,
      toolName: call.name,
      input: call.input,
    }),
  );
  return [...text, ...calls];
}
