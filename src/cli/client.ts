import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Json } from "../base/json.ts";
import { FailureError, failure } from "../domain/errors.ts";

export interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: Json;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly body: ReadableStream<Uint8Array> | null;
  text(): Promise<string>;
  bytes(): Promise<Uint8Array>;
}

/** One way to reach the API: over the wire, or within this process. */
export interface Transport {
  /** For people: a URL, or "embedded". */
  readonly where: string;
  send(request: Request, signal?: AbortSignal): Promise<Answer>;
}

export interface StreamEvent {
  /** A fact's seq; `null` for live events and the end. */
  readonly seq: number | null;
  /** A fact's kind, `live` or `end`. */
  readonly kind: string;
  readonly data: Json;
}

/** The API as the commands use it. What the server refuses is thrown as the `FailureError` that it sent. */
export class Client {
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  async call<T>(request: Request): Promise<T> {
    const answer = await this.transport.send(request);
    const text = await answer.text();
    if (answer.status >= 400) throw refusal(answer.status, text);
    return JSON.parse(text) as T;
  }

  get<T>(path: string): Promise<T> {
    return this.call<T>({ method: "GET", path });
  }

  post<T>(path: string, body: Json, headers: Readonly<Record<string, string>> = {}): Promise<T> {
    return this.call<T>({ method: "POST", path, body, headers });
  }

  async download(path: string): Promise<Uint8Array> {
    const answer = await this.transport.send({ method: "GET", path });
    if (answer.status >= 400) throw refusal(answer.status, await answer.text());
    return answer.bytes();
  }

  /** Events of a run as they come, from after `after`; a broken stream is taken up where it broke. */
  async *events(
    run: string,
    of: { readonly after: number; readonly signal: AbortSignal },
  ): AsyncGenerator<StreamEvent> {
    let after = of.after;
    while (!of.signal.aborted) {
      const headers = {
        accept: "text/event-stream",
        ...(after > 0 ? { "last-event-id": String(after) } : {}),
      };
      const request: Request = { method: "GET", path: `/runs/${run}/events`, headers };
      const answer = await this.transport.send(request, of.signal);
      if (answer.status >= 400 || !answer.body) throw refusal(answer.status, await answer.text());
      const decoded = answer.body
        .pipeThrough(new TextDecoderStream() as never)
        .pipeThrough(new EventSourceParserStream());
      for await (const message of decoded as unknown as AsyncIterable<{
        id?: string;
        event?: string;
        data: string;
      }>) {
        const seq = message.id === undefined || message.id === "" ? null : Number(message.id);
        if (seq !== null) after = seq;
        yield { seq, kind: message.event ?? "message", data: JSON.parse(message.data) as Json };
        if (message.event === "end") return;
      }
    }
  }
}

function refusal(status: number, text: string): FailureError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string; details?: Json } };
    const base = { code: error.code, message: error.message, retryable: false };
    return new FailureError(error.details === undefined ? base : { ...base, details: error.details });
  } catch {
    return new FailureError(failure("unavailable", `the server answered ${status}: ${text.slice(0, 200)}`));
  }
}

/** The API of a running server. */
export function wire(url: string): Transport {
  return {
    where: url,
    async send(request, signal) {
      const headers: Record<string, string> = { ...request.headers };
      if (request.body !== undefined) headers["content-type"] = "application/json";
      try {
        const response = await fetch(new URL(request.path, url), {
          method: request.method,
          headers,
          ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
          ...(signal === undefined ? {} : { signal }),
        });
        return {
          status: response.status,
          body: response.body,
          text: () => response.text(),
          bytes: async () => new Uint8Array(await response.arrayBuffer()),
        };
      } catch (error) {
        if (signal?.aborted) throw error;
        throw new FailureError(failure("unavailable", `no answer from ${url}: ${reasonOf(error)}`));
      }
    },
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
