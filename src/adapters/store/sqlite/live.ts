import { newId } from "../../../base/id.ts";
import type { LiveRelay } from "../../../contracts/live.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { type LiveRow, toLiveEvent } from "../sql/live-row.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";

/** Live events through the file. Writes do not wait for the disk: what a power cut takes is not worth keeping. */
export function createLiveRelay(write: Connection, read: Connection, now: () => number): LiveRelay {
  const self = newId("liv", Date.now(), Math.random);
  const renew = write.run(
    `INSERT INTO live_watch (listener, run, until) VALUES (?, ?, ?)
     ON CONFLICT (run, listener) DO UPDATE SET until = excluded.until`,
  );
  const forget = write.run("DELETE FROM live_watch WHERE until < ?");
  const end = write.one<{ ord: number | null }>("SELECT max(ord) AS ord FROM live_event WHERE run = ?");
  const others = read.one("SELECT 1 FROM live_watch WHERE run = ? AND listener <> ? AND until >= ? LIMIT 1");
  const insert = write.run("INSERT INTO live_event (run, sender, at, body) VALUES (?, ?, ?, ?)");
  const drop = write.run("DELETE FROM live_event WHERE at < ?");
  const fresh = read.many<LiveRow>(
    `SELECT ord, run, body FROM live_event WHERE run = ? AND ord > ? AND sender <> ? ORDER BY ord LIMIT ?`,
  );
  const guarded = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, write.path);
    }
  };
  return {
    watch: (runs) =>
      guarded(() =>
        write.relaxed(() => {
          const at = now();
          forget(at);
          return new Map(
            runs.map((run) => {
              renew(self, run, at + LIMITS.liveWatchMs);
              return [run, end(run)?.ord ?? 0];
            }),
          );
        }),
      ),
    watched: (runs) =>
      guarded(() => {
        const at = now();
        return new Set(runs.filter((run) => others(run, self, at) !== undefined));
      }),
    send: (events) =>
      guarded(() =>
        write.relaxed(() => {
          const at = now();
          drop(at - LIMITS.liveKeptMs);
          for (const event of events) insert(event.run, self, at, JSON.stringify(event));
        }),
      ),
    receive: (from) =>
      guarded(() =>
        [...from].flatMap(([run, after]) => fresh(run, after, self, LIMITS.liveBatch).map(toLiveEvent)),
      ),
  };
}
