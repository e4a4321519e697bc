import type { GatewayRequest } from "../contracts/model-gateway.ts";
import type { Message, ToolDescription } from "../domain/message.ts";
import {
  addFound,
  type Found,
  type Redacted,
  type Redactor,
  redactJson,
  redactMessage,
} from "../domain/redact.ts";

/** System prompts remembered; agents have few, and each is long. */
const MAX_SYSTEMS = 64;

/** A request as it may leave this process, and what was taken out of it. */
export interface SafeRequest {
  readonly request: GatewayRequest;
  readonly redacted: Found | null;
}

/**
 * The one place that every prompt of every caller passes before any provider sees it. Messages never change once they
 * are said, so each is searched once, however often its history is sent.
 */
export class Censor {
  readonly #redactor: Redactor;
  readonly #messages = new WeakMap<Message, Redacted<Message>>();
  readonly #tools = new WeakMap<ToolDescription, Redacted<ToolDescription>>();
  readonly #systems = new Map<string, Redacted<string>>();

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  clean(request: GatewayRequest): SafeRequest {
    const system = this.#system(request.system);
    const messages = cleaned(request.messages, (message) => this.#message(message));
    const tools = cleaned(request.tools, (tool) => this.#tool(tool));
    const redacted = addFound(addFound(system.found, messages.found), tools.found);
    if (redacted === null) return { request, redacted };
    return {
      request: { ...request, system: system.value, messages: messages.value, tools: tools.value },
      redacted,
    };
  }

  #system(text: string): Redacted<string> {
    const known = this.#systems.get(text);
    if (known !== undefined) return known;
    if (this.#systems.size >= MAX_SYSTEMS) this.#systems.clear();
    const made = this.#redactor.text(text, "likely");
    this.#systems.set(text, made);
    return made;
  }

  #message(message: Message): Redacted<Message> {
    const known = this.#messages.get(message);
    if (known !== undefined) return known;
    const made = redactMessage(this.#redactor, message);
    this.#messages.set(message, made);
    return made;
  }

  #tool(tool: ToolDescription): Redacted<ToolDescription> {
    const known = this.#tools.get(tool);
    if (known !== undefined) return known;
    const { value, found } = redactJson(this.#redactor, { ...tool }, "certain");
    const made = { value: found === null ? tool : (value as unknown as ToolDescription), found };
    this.#tools.set(tool, made);
    return made;
  }
}

/** The list itself when nothing was found in it: no copy for the common case. */
function cleaned<T>(items: readonly T[], clean: (item: T) => Redacted<T>): Redacted<readonly T[]> {
  let found: Found | null = null;
  let safe: T[] | null = null;
  for (const [index, item] of items.entries()) {
    const one = clean(item);
    if (one.found === null) {
      safe?.push(item);
      continue;
    }
    safe ??= items.slice(0, index);
    safe.push(one.value);
    found = addFound(found, one.found);
  }
  return { value: safe ?? items, found };
}
