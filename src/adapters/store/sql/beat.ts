import { once } from "node:events";
import { Worker } from "node:worker_threads";
import {
  BEATING,
  type BeatMessage,
  type BeatOrder,
  CONTROL_BYTES,
  CONTROL_SLOTS,
  heldUntil,
  MAIN_TICKS,
  noteBeat,
  STATE,
  STOPPED,
} from "./beat-protocol.ts";

export interface Beat {
  /** Whether the lease is surely held at this moment. */
  holds(): boolean;
  stop(): Promise<void>;
}

export interface BeatOptions extends Omit<BeatOrder, "control" | "tickMs"> {
  /** The module that beats, in a thread of its own. */
  readonly thread: URL;
  readonly onMessage: (message: BeatMessage) => void;
  /** By `process.hrtime`, before the database was asked to join the worker: its first beat. */
  readonly asked: bigint;
}

/** How often the main thread shows that its loop turns, as a share of the shortest time that is watched. */
const TICKS_PER_NOTICE = 8;

export async function startBeat(options: BeatOptions): Promise<Beat> {
  const { onMessage, thread: module, asked, ...rest } = options;
  const control = new SharedArrayBuffer(CONTROL_BYTES);
  const slots = new Int32Array(control, 0, CONTROL_SLOTS);
  noteBeat(control, asked);
  Atomics.store(slots, STATE, BEATING);
  const tickMs = Math.max(1, Math.floor(Math.min(rest.noticeMs, rest.beatMs * 2) / TICKS_PER_NOTICE));
  const order: BeatOrder = { ...rest, control, tickMs };
  const thread = new Worker(module, { workerData: order });
  const timer = setInterval(() => Atomics.add(slots, MAIN_TICKS, 1), tickMs);
  timer.unref();
  let ended = false;
  let stopping = false;
  thread.on("message", onMessage);
  thread.on("error", (error) => {
    onMessage({ kind: "failed", message: `the beat thread died: ${error.message}` });
  });
  thread.once("exit", () => {
    ended = true;
    clearInterval(timer);
    // Lost or stopped, or nobody beats any more: the third must be told, and telling the first twice does no harm.
    if (!stopping) onMessage({ kind: "lost" });
  });
  await once(thread, "online");
  thread.unref();
  const held = heldUntil(control);
  return {
    holds: () => !ended && process.hrtime.bigint() < Atomics.load(held, 0),
    async stop() {
      clearInterval(timer);
      stopping = true;
      if (ended) return;
      thread.ref();
      Atomics.store(slots, STATE, STOPPED);
      Atomics.notify(slots, STATE);
      await once(thread, "exit");
    },
  };
}
