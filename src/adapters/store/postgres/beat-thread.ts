import { parentPort, workerData } from "node:worker_threads";
import { LIMITS } from "../../../domain/limits.ts";
import {
  BEATING,
  type BeatMessage,
  type BeatOrder,
  CONTROL_SLOTS,
  noteBeat,
  STATE,
} from "../sql/beat-protocol.ts";
import { Watch } from "../sql/watch.ts";
import { Session } from "./session.ts";
import { beat, bury, markStalled } from "./workers.ts";

/** Whatever shard: what the dead had held is counted in the sum. */
const SHARD = 0;

/** Waits for the time of a tick, or for the end: true at the end. */
async function untilTick(control: Int32Array, tickMs: number): Promise<boolean> {
  const waited = Atomics.waitAsync(control, STATE, BEATING, tickMs);
  return (await waited.value) !== "timed-out";
}

/**
 * The thread that beats for one worker. It has a connection and an event loop of its own, so that nothing the main
 * thread does can delay a beat.
 */
async function beatUntilStopped(order: BeatOrder): Promise<void> {
  const control = new Int32Array(order.control, 0, CONTROL_SLOTS);
  const say = (message: BeatMessage) => parentPort?.postMessage(message);
  // No patience: the next tick tries again.
  const session = new Session({
    url: order.database,
    name: "beat",
    patienceMs: 0,
    writes: true,
    answerMs: order.busyTimeoutMs,
  });
  const watch = new Watch(control, order.tickMs);

  /** True while the worker is still known. */
  const tick = async (): Promise<boolean> => {
    if (watch.stoodStillMs >= order.stallMs) {
      await session.transaction((tx) => bury(tx, [order.worker], SHARD));
      return false;
    }
    if (watch.sinceBeatMs < order.beatMs) return true;
    const asked = process.hrtime.bigint();
    const stalled = watch.stoodStillMs >= order.noticeMs;
    const known = await session.transaction(async (tx) => {
      if (!(await beat(tx, order.worker, null))) return false;
      if (stalled) await markStalled(tx, order.worker);
      return true;
    });
    if (known) noteBeat(order.control, asked);
    watch.sinceBeatMs = 0;
    return known;
  };

  // Waiting on shared memory does not keep a thread alive, nor does a connection that is gone.
  const alive = setInterval(() => undefined, order.beatMs);
  try {
    while (!(await untilTick(control, order.tickMs))) {
      const stood = watch.look();
      if (stood >= order.noticeMs) say({ kind: "stalled", ms: Math.round(stood) });
      try {
        if (await tick()) continue;
        say({ kind: "lost" });
        return;
      } catch (error) {
        // A worker that cannot beat for the lease time loses its lease, as it should.
        say({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    clearInterval(alive);
    await session.close();
    parentPort?.close();
  }
}

const order = workerData as BeatOrder;
if (order.beatMs > LIMITS.leaseTtlMs) throw new RangeError(`beatMs ${order.beatMs} is longer than the lease`);
await beatUntilStopped(order);
