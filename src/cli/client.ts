import { setTimeout as sleep } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Json } from "../base/json.ts";
import { FailureError, failure } from "../domain/errors.ts";

export interface Request {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
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

/** Attempts to take a broken stream up again, and the pause before each: it grows up to the longest. */
const RECONNECTS = 20;
const RECONNECT_MS = 100;
const LONGEST_RECONNECT_MS = 2_000;

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
    try {
      return JSON.parse(text) as T;
    } catch {
      const message = `what ${this.transport.where} answered is not agent-runner's: ${text.slice(0, 80)}`;
      throw new FailureError(failure("unavailable", message));
    }
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

  /**
   * Events of a run as they come, from after `after`; a broken stream is taken up where it broke, for a while.
   * Ends with the run, or with `signal`.
   */
  async *events(
    run: string,
    of: { readonly after: number; readonly signal: AbortSignal },
  ): AsyncGenerator<StreamEvent> {
    let after = of.after;
    let failed = 0;
    while (!of.signal.aborted) {
      try {
        for await (const event of this.#stream(run, after, of.signal)) {
          failed = 0;
          if (event.seq !== null) after = event.seq;
          yield event;
          if (event.kind === "end") return;
        }
      } catch (error) {
        if (of.signal.aborted) return;
        const refused = error instanceof FailureError && error.failure.code !== "unavailable";
        if (refused || failed >= RECONNECTS) throw error;
      }
      failed += 1;
      if (failed > RECONNECTS) throw brokenOff(this.transport.where);
      await sleep(Math.min(failed * RECONNECT_MS, LONGEST_RECONNECT_MS), undefined, {
        signal: of.signal,
      }).catch(() => {});
    }
  }

  async *#stream(run: string, after: number, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    const headers = {
      accept: "text/event-stream",
      ...(after > 0 ? { "last-event-id": String(after) } : {}),
    };
    const path = `/runs/${encodeURIComponent(run)}/events`;
    const answer = await this.transport.send({ method: "GET", path, headers }, signal);
    // The run has ended, and all of it was seen.
    if (answer.status === 204) return yield { seq: null, kind: "end", data: null };
    if (answer.status >= 400 || !answer.body) throw refusal(answer.status, await answer.text());
    const messages = answer.body
      .pipeThrough(new TextDecoderStream() as never)
      .pipeThrough(new EventSourceParserStream()) as unknown as AsyncIterable<Message>;
    for await (const message of messages) {
      const seq = message.id === undefined || message.id === "" ? null : Number(message.id);
      yield { seq, kind: message.event ?? "message", data: JSON.parse(message.data) as Json };
    }
  }
}

interface Message {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

function brokenOff(where: string): FailureError {
  return new FailureError(failure("unavailable", `the event stream of ${where} broke off again and again`));
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
