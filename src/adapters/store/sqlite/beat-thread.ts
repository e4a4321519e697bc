import { parentPort, workerData } from "node:worker_threads";
import { LIMITS } from "../../../domain/limits.ts";
import { BEATING, type BeatMessage, type BeatOrder, MAIN_TICKS, STATE } from "./beat-protocol.ts";
import { Connection } from "./connection.ts";
import { createLanes } from "./lanes.ts";
import { createCounterTable, Transaction } from "./transaction.ts";
import { createWorkers } from "./workers.ts";

/** Looks at the main thread between two sleeps, and tells how long its loop has stood still. */
class Watch {
  readonly #control: Int32Array;
  readonly #tickMs: number;
  #seen: number;
  #before = performance.now();
  stoodStillMs = 0;
  sinceBeatMs = 0;

  constructor(control: Int32Array, tickMs: number) {
    this.#control = control;
    this.#tickMs = tickMs;
    this.#seen = Atomics.load(control, MAIN_TICKS);
  }

  /** How long the loop had stood still when it was seen to turn again; 0 when it did not stand still. */
  look(): number {
    const now = performance.now();
    const elapsed = now - this.#before;
    this.#before = now;
    this.sinceBeatMs += elapsed;
    const ticks = Atomics.load(this.#control, MAIN_TICKS);
    if (ticks === this.#seen) {
      // A process that was suspended as a whole has not stalled: what counts is time this thread was awake.
      this.stoodStillMs += Math.min(elapsed, 2 * this.#tickMs);
      return 0;
    }
    const stood = this.stoodStillMs;
    this.stoodStillMs = 0;
    this.#seen = ticks;
    return stood;
  }
}

/**
 * The thread that beats for one worker. It has a connection of its own and never yields to an event loop: it sleeps
 * on the shared memory, so that nothing the main thread does can delay a beat.
 */
function beatUntilStopped(order: BeatOrder): void {
  const control = new Int32Array(order.control);
  const say = (message: BeatMessage) => parentPort?.postMessage(message);
  const connection = new Connection({ path: order.path, busyTimeoutMs: order.busyTimeoutMs });
  const workers = createWorkers(connection, createLanes(connection));
  const counters = createCounterTable(connection);
  const watch = new Watch(control, order.tickMs);

  /** True while the worker is still known. */
  const tick = (): boolean => {
    if (watch.stoodStillMs >= order.stallMs) {
      connection.transaction(() => {
        const tx = new Transaction(counters);
        workers.forget(order.worker);
        workers.requeueOrphans(tx);
        tx.finish();
      });
      return false;
    }
    if (watch.sinceBeatMs < order.beatMs) return true;
    if (!workers.beat(order.worker, Date.now())) return false;
    if (watch.stoodStillMs >= order.noticeMs) workers.markStalled(order.worker, Date.now());
    watch.sinceBeatMs = 0;
    return true;
  };

  try {
    while (Atomics.wait(control, STATE, BEATING, order.tickMs) === "timed-out") {
      const stood = watch.look();
      if (stood >= order.noticeMs) say({ kind: "stalled", ms: Math.round(stood) });
      try {
        if (tick()) continue;
        say({ kind: "lost" });
        return;
      } catch (error) {
        // The next tick tries again; a worker that cannot beat for the lease time loses its lease, as it should.
        say({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    connection.close();
  }
}

const order = workerData as BeatOrder;
if (order.beatMs > LIMITS.leaseTtlMs) throw new RangeError(`beatMs ${order.beatMs} is longer than the lease`);
beatUntilStopped(order);
