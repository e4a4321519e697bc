import type { Clock } from "../../../base/clock.ts";
import { formatDuration } from "../../../base/duration.ts";
import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import { type Failure, failure } from "../../../domain/errors.ts";

/** How long silence on the wire is borne, in ms. */
export interface WireLimits {
  /** From the request to the first byte of the answer; long, because a local model may first have to be loaded. */
  readonly firstByteMs: number;
  /** Between two bytes of the answer. */
  readonly idleMs: number;
}

export const DEFAULT_WIRE_LIMITS: WireLimits = { firstByteMs: 240_000, idleMs: 90_000 };

const HEAD_CHARS = 400;
const MAX_LINE_CHARS = 8_388_608;
/** What every line of an answer of one JSON value a line has one of. */
const LINE_KEYS = ["message", "done", "error"];

/** Sees every byte of one call, whatever the SDK makes of it. */
export interface Wire {
  readonly fetch: typeof globalThis.fetch;
  /** A failure seen on the wire itself: it counts more than what the SDK throws because of it. */
  failure(): Failure | null;
  /** The answer began: its headers came. */
  responded(): boolean;
  /** The beginning of what came. */
  head(): string;
  /** Must be called when the call is over; stops the watch over silence. */
  close(): void;
}

interface WireOptions {
  readonly clock: Clock;
  /** Aborted when the wire has been silent for too long; its signal ends the request. */
  readonly stop: AbortController;
  readonly limits: WireLimits;
  readonly name: string;
  readonly body: ((body: JsonObject) => JsonObject) | undefined;
  /** Called with each line's value, when the answer is one JSON value a line. */
  readonly onLine: ((event: JsonObject) => void) | undefined;
}

export function openWire(options: WireOptions): Wire {
  const seen = { failure: null as Failure | null, responded: false, head: "", bytes: false };
  const silence = watchSilence(options.clock, (ms) => {
    const what = seen.bytes ? "sent nothing more" : "did not begin to answer";
    seen.failure ??= failure(
      "model_timeout",
      `${options.name} ${what} for ${formatDuration(ms)}; the call was ended`,
    );
    options.stop.abort();
  });
  const decoder = new TextDecoder();
  const onBytes = (bytes: Uint8Array) => {
    if (seen.bytes) silence.heard();
    else silence.watch(options.limits.idleMs);
    seen.bytes = true;
    if (seen.head.length < HEAD_CHARS) {
      seen.head = (seen.head + decoder.decode(bytes, { stream: true })).slice(0, HEAD_CHARS);
    }
  };
  const fail = (why: Failure) => {
    seen.failure ??= why;
  };
  const guarded: typeof globalThis.fetch = async (input, init) => {
    silence.watch(options.limits.firstByteMs);
    // No API answers with a redirect, and where it leads nobody shall be sent a key.
    const request = {
      ...init,
      ...changedBody(options.body, init?.body),
      redirect: "manual" as const,
      signal: options.stop.signal,
    };
    const response = await fetch(input, request);
    seen.responded = true;
    if (response.status >= 300 && response.status < 400) fail(redirected(options.name, response));
    if (response.body === null) return response;
    const heard = tapped(response.body, onBytes);
    const { onLine } = options;
    const body = onLine && response.ok ? heard.pipeThrough(checkLines({ ...options, onLine, fail })) : heard;
    return new Response(body, {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  };
  return {
    fetch: guarded,
    failure: () => seen.failure,
    responded: () => seen.responded,
    head: () => seen.head,
    close: silence.close,
  };
}

function redirected(name: string, response: Response): Failure {
  const location = response.headers.get("location");
  const to = location === null ? "another address" : (location.split("?")[0] ?? "").slice(0, HEAD_CHARS);
  const what = `${name} redirects to ${to} (is the base URL right?); no redirect is followed`;
  return failure("model_bad_reply", what, { status: response.status });
}

function changedBody(change: WireOptions["body"], body: unknown): { readonly body?: string } {
  if (change === undefined || typeof body !== "string") return {};
  const parsed: unknown = JSON.parse(body);
  return isJsonObject(parsed) ? { body: JSON.stringify(change(parsed)) } : {};
}

/** One timer for all bytes, not one for each: it looks when the last ones came. */
function watchSilence(clock: Clock, onSilent: (ms: number) => void) {
  let limit = 0;
  let last = 0;
  let heardSince = false;
  let closed = false;
  let cancel = () => {};
  const look = (): void => {
    if (!heardSince) return onSilent(limit);
    heardSince = false;
    const left = limit - (clock.now() - last);
    // Anything else was a wall clock that was set, and that ends no answer.
    cancel = clock.after(left > 0 && left <= limit ? left : limit, look);
  };
  const heard = () => {
    heardSince = true;
    last = clock.now();
  };
  return {
    /** From now on, so many ms of silence are too many. */
    watch: (ms: number) => {
      cancel();
      if (closed) return;
      limit = ms;
      heard();
      look();
    },
    heard,
    close: () => {
      closed = true;
      cancel();
    },
  };
}

/** The same bytes. By hand, not by a TransformStream: that queues and wakes twice for every piece of every answer. */
function tapped(
  body: ReadableStream<Uint8Array>,
  onBytes: (bytes: Uint8Array) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        onBytes(value);
        controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** Passes on whole lines that hold a JSON object; the first that does not, or that says `error`, ends the stream. */
function checkLines(options: {
  readonly name: string;
  readonly onLine: (event: JsonObject) => void;
  readonly fail: (why: Failure) => void;
}): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = "";
  const take = (line: string): boolean => {
    const event = parseObject(line);
    if (event === null) {
      const start = line.slice(0, HEAD_CHARS);
      options.fail(failure("model_bad_reply", `${options.name} sent a line that is not JSON`, { start }));
      return false;
    }
    if (!LINE_KEYS.some((key) => key in event)) {
      const start = line.slice(0, HEAD_CHARS);
      options.fail(
        failure("model_bad_reply", `${options.name} sent a line that is not its protocol`, { start }),
      );
      return false;
    }
    options.onLine(event);
    return !("error" in event);
  };
  return new TransformStream({
    transform: (bytes, controller) => {
      rest += decoder.decode(bytes, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((text) => text.trim() !== "")) {
        if (!take(line)) return controller.terminate();
        controller.enqueue(encoder.encode(`${line}\n`));
      }
      if (rest.length > MAX_LINE_CHARS) {
        options.fail(
          failure("model_bad_reply", `${options.name} sent a line of over ${MAX_LINE_CHARS} characters`),
        );
        controller.terminate();
      }
    },
    flush: (controller) => {
      // A last line without its end is a stream cut short, unless it happens to be whole.
      if (rest.trim() !== "" && parseObject(rest) !== null && take(rest)) {
        controller.enqueue(encoder.encode(`${rest}\n`));
      }
    },
  });
}

function parseObject(line: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
