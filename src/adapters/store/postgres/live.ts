import { newId } from "../../../base/id.ts";
import type { LiveRelay } from "../../../contracts/live.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { type LiveRow, toLiveEvent } from "../sql/live-row.ts";
import { storeFailure } from "./failures.ts";
import type { Reads } from "./reads.ts";
import type { Session, Tx } from "./session.ts";
import { statement } from "./sql.ts";

const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** Nobody waits for the disk for these. */
const EASY = "SET LOCAL synchronous_commit = off";
const FORGET = statement(`DELETE FROM live_watch WHERE until < ${NOW}`);
const RENEW = statement(
  `INSERT INTO live_watch (listener, run, until)
   SELECT $1, run, ${NOW} + $3 FROM unnest($2::text[]) AS run ORDER BY run
   ON CONFLICT (run, listener) DO UPDATE SET until = excluded.until`,
);
const ENDS = statement(
  `SELECT asked.run, (SELECT max(ord) FROM live_event WHERE live_event.run = asked.run) AS ord
   FROM unnest($1::text[]) AS asked (run)`,
);
const WATCHED = statement(
  `SELECT asked.run FROM unnest($1::text[]) AS asked (run)
   WHERE (SELECT true FROM live_watch WHERE live_watch.run = asked.run AND listener <> $2 AND until >= ${NOW} LIMIT 1)`,
);
const DROP = statement(`DELETE FROM live_event WHERE at < ${NOW} - $1`);
const SEND = statement(
  `INSERT INTO live_event (run, sender, at, body)
   SELECT sent.run, $1, ${NOW}, sent.body FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS sent (run, body, place)
   ORDER BY sent.place`,
);
const FRESH = statement(
  `SELECT fresh.ord, fresh.run, fresh.body FROM unnest($1::text[], $2::bigint[]) AS asked (run, after)
   CROSS JOIN LATERAL (
     SELECT ord, run, body FROM live_event
     WHERE live_event.run = asked.run AND ord > asked.after AND sender <> $3 ORDER BY ord LIMIT $4) AS fresh
   ORDER BY fresh.ord`,
);

/** Live events through two tables that are not logged. */
export function createLiveRelay(session: Session, reads: Reads): LiveRelay {
  const self = newId("liv", Date.now(), Math.random);
  const write = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    try {
      return await session.transaction(async (tx) => {
        tx.exec(EASY);
        return work(tx);
      });
    } catch (error) {
      throw storeFailure(error, session.database);
    }
  };
  return {
    watch: (runs) =>
      write(async (tx) => {
        tx.run(FORGET, []);
        tx.run(RENEW, [self, runs, LIMITS.liveWatchMs]);
        const ends = await tx.many<{ run: string; ord: number | null }>(ENDS, [runs]);
        return new Map(ends.map(({ run, ord }) => [run, ord ?? 0]));
      }),
    async watched(runs) {
      const rows = await reads.many<{ run: string }>(WATCHED, [runs, self]);
      return new Set(rows.map(({ run }) => run));
    },
    send: (events) =>
      write(async (tx) => {
        tx.run(DROP, [LIMITS.liveKeptMs]);
        const bodies = events.map((event) => JSON.stringify(event));
        await tx.run(SEND, [self, events.map(({ run }) => run), bodies]);
      }),
    async receive(from) {
      const asked = [[...from.keys()], [...from.values()], self, LIMITS.liveBatch];
      return (await reads.many<LiveRow>(FRESH, asked)).map(toLiveEvent);
    },
  };
}
