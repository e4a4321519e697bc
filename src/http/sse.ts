import type { ServerResponse } from "node:http";
import type { Clock } from "../base/clock.ts";

export interface StreamTimes {
  /** Longest silence before a comment is sent. */
  readonly heartbeatMs: number;
  /** How long a reader may take nothing before it is let go. */
  readonly stallMs: number;
}

/** Server-sent events to one reader. */
export interface EventStream {
  /** False once the reader is gone. Waits for a reader that is slower than the events. */
  send(message: { readonly id?: number; readonly event: string; readonly data: unknown }): Promise<boolean>;
  /** Ends the stream after what was sent; a reader that does not take it is cut off. */
  close(): void;
}

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  // Proxies that gather answers would hold events back.
  "x-accel-buffering": "no",
} as const;
/** How long a reader should wait before it comes again, told once at the beginning. */
const RECONNECT_MS = 1_000;
/** How long a reader that is behind may take for what was sent before the end. */
const LAST_WORDS_MS = 1_000;

/**
 * Begins a stream on an answer that nobody has begun. `onGone` is called once when the reader is no longer there:
 * it went away, or took nothing for `stallMs`.
 */
export function openEventStream(
  response: ServerResponse,
  options: StreamTimes & {
    readonly clock: Clock;
    readonly headers: Readonly<Record<string, string>>;
    readonly onGone: () => void;
  },
): EventStream {
  const { clock, heartbeatMs, stallMs } = options;
  let cancelBeat = () => {};
  // Ours, because a response without a socket never says so itself.
  let full = false;
  const beatLater = () => {
    cancelBeat();
    cancelBeat = clock.after(heartbeatMs, () => {
      if (response.destroyed || response.writableEnded) return;
      if (!full) response.write(": heartbeat\n\n");
      beatLater();
    });
  };
  response.once("close", () => {
    cancelBeat();
    options.onGone();
  });
  // A reader that vanishes in the middle of a write is no defect: `close` follows.
  response.on("error", () => {});
  response.writeHead(200, { ...options.headers, ...HEADERS });
  response.write(`retry: ${RECONNECT_MS}\n\n`);
  beatLater();

  return {
    async send({ id, event, data }) {
      if (response.destroyed || response.writableEnded) return false;
      const place = id === undefined ? "" : `id: ${id}\n`;
      const taken = response.write(`${place}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      beatLater();
      if (taken) return true;
      full = true;
      const drained = await drain(response, clock, stallMs);
      full = !drained;
      return drained;
    },
    close() {
      cancelBeat();
      response.end();
      if (full)
        response.once(
          "close",
          clock.after(LAST_WORDS_MS, () => response.destroy()),
        );
    },
  };
}

async function drain(response: ServerResponse, clock: Clock, stallMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(stallMs, () => {
    response.destroy();
    resolve();
  });
  response.once("drain", resolve);
  response.once("close", resolve);
  await promise;
  cancel();
  response.off("drain", resolve);
  response.off("close", resolve);
  return !response.destroyed;
}
