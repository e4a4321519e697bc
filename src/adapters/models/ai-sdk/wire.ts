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
  readonly limits: WireLimits;
  readonly name: string;
  readonly body: ((body: JsonObject) => JsonObject) | undefined;
  /** Called with each line's value, when the answer is one JSON value a line. */
  readonly onLine: ((event: JsonObject) => void) | undefined;
}

export function openWire(options: WireOptions): Wire {
  const stalled = new AbortController();
  const seen = { failure: null as Failure | null, responded: false, head: "", closed: false };
  let cancelTimer = () => {};
  const watch = (ms: number, what: string) => {
    cancelTimer();
    if (seen.closed) return;
    cancelTimer = options.clock.after(ms, () => {
      seen.failure ??= failure(
        "model_timeout",
        `${options.name} ${what} for ${formatDuration(ms)}; the call was ended`,
      );
      stalled.abort();
    });
  };
  const decoder = new TextDecoder();
  const onBytes = (bytes: Uint8Array) => {
    watch(options.limits.idleMs, "sent nothing more");
    if (seen.head.length < HEAD_CHARS) {
      seen.head = (seen.head + decoder.decode(bytes, { stream: true })).slice(0, HEAD_CHARS);
    }
  };
  const fail = (why: Failure) => {
    seen.failure ??= why;
  };
  const guarded: typeof globalThis.fetch = async (input, init) => {
    watch(options.limits.firstByteMs, "did not begin to answer");
    const signal = init?.signal ? AbortSignal.any([init.signal, stalled.signal]) : stalled.signal;
    // No API answers with a redirect, and where it leads nobody shall be sent a key.
    const request = {
      ...init,
      ...changedBody(options.body, init?.body),
      redirect: "manual" as const,
      signal,
    };
    const response = await fetch(input, request);
    seen.responded = true;
    if (response.status >= 300 && response.status < 400) fail(redirected(options.name, response));
    if (response.body === null) return response;
    const tapped = response.body.pipeThrough(tap(onBytes));
    const { onLine } = options;
    const body =
      onLine && response.ok ? tapped.pipeThrough(checkLines({ ...options, onLine, fail })) : tapped;
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
    close: () => {
      seen.closed = true;
      cancelTimer();
    },
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

function tap(onBytes: (bytes: Uint8Array) => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform: (bytes, controller) => {
      onBytes(bytes);
      controller.enqueue(bytes);
    },
  });
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
