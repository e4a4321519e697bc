import type { StoreHint, WorkerInfo } from "../../../contracts/run-store.ts";
import { type Beat, startBeat } from "./beat.ts";
import type { BeatMessage } from "./beat-protocol.ts";

export interface BeatsOptions {
  readonly busyTimeoutMs: number;
  readonly beatMs: number;
  readonly stallNoticeMs: number;
  readonly stallMs: number;
  /** A beat could not be written; it is tried again. */
  readonly onBeatFailure: (worker: string, message: string) => void;
}

/** The beats of all workers of this store. */
export interface Beats {
  /** `asked`: by `process.hrtime`, before the worker joined. */
  start(worker: WorkerInfo, asked: bigint): Promise<void>;
  stop(worker: string): Promise<void>;
  has(worker: string): boolean;
  /** Whether the worker's lease is surely held at this moment. */
  holds(worker: string): boolean;
  close(): Promise<void>;
}

export function createBeats(
  where: { readonly database: string; readonly thread: URL },
  publish: (hints: readonly StoreHint[]) => void,
  options: BeatsOptions,
): Beats {
  const beats = new Map<string, Beat>();
  const onMessage = (worker: string, message: BeatMessage): void => {
    if (message.kind === "failed") options.onBeatFailure(worker, message.message);
    else if (message.kind === "stalled") publish([{ kind: "stalled", worker, ms: message.ms }]);
    else if (beats.delete(worker)) {
      publish([{ kind: "lost", worker }]);
    }
  };
  const stop = async (worker: string): Promise<void> => {
    const beat = beats.get(worker);
    beats.delete(worker);
    await beat?.stop();
  };
  return {
    async start({ id }, asked) {
      if (beats.has(id)) return;
      const { busyTimeoutMs, beatMs, stallMs, stallNoticeMs: noticeMs } = options;
      const timing = { ...where, asked, worker: id, busyTimeoutMs, beatMs, noticeMs, stallMs };
      beats.set(id, await startBeat({ ...timing, onMessage: (message) => onMessage(id, message) }));
    },
    stop,
    has: (worker) => beats.has(worker),
    holds: (worker) => beats.get(worker)?.holds() === true,
    async close() {
      await Promise.all([...beats.keys()].map(stop));
    },
  };
}
