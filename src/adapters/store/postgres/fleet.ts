import type { Fleet } from "../../../contracts/fleet.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { type MemberRow, memberValues, toMember, toWishes, type WishRow } from "../sql/member-row.ts";
import { storeFailure } from "./failures.ts";
import { at } from "./now.ts";
import type { Reads } from "./reads.ts";
import type { Session, Tx } from "./session.ts";
import { statement } from "./sql.ts";

const CLOCK = statement(`SELECT ${at("$1")} AS now`);
const REPORT = statement(
  `INSERT INTO member (id, host, pid, process_start, version, roles, labels, slots, held, draining, joined_at, seen_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ${at("$11")}, ${at("$11")})
   ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, process_start = excluded.process_start,
     version = excluded.version, roles = excluded.roles, labels = excluded.labels, slots = excluded.slots,
     held = excluded.held, draining = excluded.draining, seen_at = excluded.seen_at
   RETURNING slots_wish_no, slots_wish, reload_no, seen_at AS now`,
);
const FORGET = statement(`DELETE FROM member WHERE seen_at < ${at("$1")} - ${LIMITS.memberSilentMs}`);
const LEAVE = statement("DELETE FROM member WHERE id = $1");
const MEMBERS = statement(
  `SELECT *, ${at("$1")} - seen_at AS silent_ms FROM member
   WHERE seen_at >= ${at("$1")} - ${LIMITS.memberSilentMs} ORDER BY joined_at, id`,
);
const WISH = statement(
  `UPDATE member SET slots_wish = coalesce($2::integer, slots_wish),
     slots_wish_no = slots_wish_no + ($2::integer IS NOT NULL)::integer, reload_no = reload_no + $3 WHERE id = $1`,
);

/** `now` is `null` where the database's clock counts, which is everywhere but in tests. */
export function createFleet(
  { doors, reads }: { readonly doors: Session; readonly reads: Reads },
  now: () => number | null,
): Fleet {
  let cleared = false;
  const write = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    try {
      return await doors.transaction((tx) => {
        tx.identify();
        return work(tx);
      });
    } catch (error) {
      throw storeFailure(error, doors.database);
    }
  };
  return {
    async now() {
      const [row] = await reads.many<{ now: number }>(CLOCK, [now()]);
      return row?.now ?? 0;
    },
    report: (member) =>
      write(async (tx) => {
        if (!cleared) tx.run(FORGET, [now()]);
        cleared = true;
        const values = [...memberValues(member), member.draining, now()];
        const [row] = await tx.many<WishRow & { now: number }>(REPORT, values);
        if (row === undefined) throw new Error("a report left no row");
        return { now: row.now, wishes: toWishes(row) };
      }),
    leave: async (id) => void (await write((tx) => tx.run(LEAVE, [id]))),
    members: async () => (await reads.many<MemberRow>(MEMBERS, [now()])).map(toMember),
    wish: (id, { slots, reload }) =>
      write(async (tx) => (await tx.run(WISH, [id, slots ?? null, Number(reload === true)])) > 0),
  };
}
