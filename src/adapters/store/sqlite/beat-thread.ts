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
import { Connection } from "./connection.ts";
import { createLanes } from "./lanes.ts";
import { sqlNow } from "./now.ts";
import { createCounterTable, Transaction } from "./transaction.ts";
import { createWorkers } from "./workers.ts";

/**
 * The thread that beats for one worker. It has a connection of its own and never yields to an event loop: it sleeps
 * on the shared memory, so that nothing the main thread does can delay a beat.
 */
function beatUntilStopped(order: BeatOrder): void {
  const control = new Int32Array(order.control, 0, CONTROL_SLOTS);
  const say = (message: BeatMessage) => parentPort?.postMessage(message);
  const connection = new Connection({ path: order.database, busyTimeoutMs: order.busyTimeoutMs });
  const workers = createWorkers(connection, createLanes(connection));
  const counters = createCounterTable(connection);
  // Not this process's idea of the time: all processes of the file go by SQLite's.
  const clock = connection.one<{ now: number }>(`SELECT ${sqlNow("NULL")} AS now`);
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
    const asked = process.hrtime.bigint();
    const now = clock()?.now ?? 0;
    if (!workers.beat(order.worker, now)) return false;
    if (watch.stoodStillMs >= order.noticeMs) workers.markStalled(order.worker, now);
    noteBeat(order.control, asked);
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
