import type { HealthBoard } from "../../../contracts/health-board.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { HEALTH_KEPT_MS, type HealthRow, healthValues, swapSql, toSharedHealth } from "../sql/health-row.ts";
import { storeFailure } from "./failures.ts";
import { at } from "./now.ts";
import type { Session, Tx } from "./session.ts";
import { statement } from "./sql.ts";

/** Nobody waits for the disk for these. */
const EASY = "SET LOCAL synchronous_commit = off";
const READ = statement("SELECT * FROM model_health ORDER BY at DESC LIMIT $1");
const DROP = statement(`DELETE FROM model_health WHERE at < ${at("$1")} - ${HEALTH_KEPT_MS}`);
const SWAP = statement(swapSql(at("$14"), (n) => `$${n}`));
const LEASE = statement(
  `UPDATE model_health SET probe_by = $4, probe_until = ${at("$6")} + $5::bigint, version = version + 1, at = ${at("$6")}
   WHERE account = $1 AND model = $2 AND phase = $3 AND open_until <= ${at("$6")}
     AND (probe_until <= ${at("$6")} OR probe_by = $4) RETURNING *`,
);

/** The board in a table that is not logged. */
export function createHealthBoard(session: Session, now: () => number | null): HealthBoard {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw storeFailure(error, session.database);
    }
  };
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
    guarded(() =>
      session.transaction(async (tx) => {
        tx.exec(EASY);
        return work(tx);
      }),
    );
  const first = ([row]: readonly HealthRow[]) => (row === undefined ? null : toSharedHealth(row));
  return {
    read: () =>
      guarded(async () => (await session.many<HealthRow>(READ, [LIMITS.sharedModels])).map(toSharedHealth)),
    swap: (rows) =>
      write(async (tx) => {
        const time = now();
        const written = new Map<number, Promise<readonly HealthRow[]>>();
        // In the order of their keys, so that two processes never wait for one another.
        for (const [row, place] of rows.map((row, place) => [row, place] as const).toSorted(byKey)) {
          written.set(place, tx.many<HealthRow>(SWAP, [...healthValues(row), row.version, time]));
        }
        tx.run(DROP, [time]);
        return Promise.all(rows.map(async (_, place) => first((await written.get(place)) ?? [])));
      }),
    lease: ({ account, model, phase, by, ms }) =>
      write(async (tx) => first(await tx.many<HealthRow>(LEASE, [account, model, phase, by, ms, now()]))),
  };
}

interface Keyed {
  readonly account: string;
  readonly model: string;
}

function byKey([a]: readonly [Keyed, number], [b]: readonly [Keyed, number]): number {
  const [one, other] = [`${a.account} ${a.model}`, `${b.account} ${b.model}`];
  return one < other ? -1 : one > other ? 1 : 0;
}
