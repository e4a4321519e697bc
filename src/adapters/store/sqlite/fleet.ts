import type { Fleet } from "../../../contracts/fleet.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { type MemberRow, memberValues, toMember, toWishes, type WishRow } from "../sql/member-row.ts";
import type { Connection } from "./connection.ts";
import { sqlNow } from "./now.ts";
import type { Writer } from "./writer.ts";

/** Without waiting for the disk: after a power cut nobody is a member any more. */
export function createFleet(connection: Connection, writer: Writer, now: () => number | null): Fleet {
  const clock = connection.one<{ now: number }>(`SELECT ${sqlNow("?1")} AS now`);
  const report = connection.one<WishRow & { now: number }>(
    `INSERT INTO member (id, host, pid, process_start, version, roles, labels, slots, held, draining, joined_at, seen_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ${sqlNow("?11")}, ${sqlNow("?11")})
     ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, process_start = excluded.process_start,
       version = excluded.version, roles = excluded.roles, labels = excluded.labels, slots = excluded.slots,
       held = excluded.held, draining = excluded.draining, seen_at = excluded.seen_at
     RETURNING slots_wish_no, slots_wish, reload_no, seen_at AS now`,
  );
  const forget = connection.run(
    `DELETE FROM member WHERE seen_at < ${sqlNow("?1")} - ${LIMITS.memberSilentMs}`,
  );
  const leave = connection.run("DELETE FROM member WHERE id = ?");
  const members = connection.many<MemberRow>(
    `SELECT *, ${sqlNow("?1")} - seen_at AS silent_ms FROM member
     WHERE seen_at >= ${sqlNow("?1")} - ${LIMITS.memberSilentMs} ORDER BY joined_at, id`,
  );
  const wish = connection.run(
    `UPDATE member SET slots_wish = coalesce(?2, slots_wish),
       slots_wish_no = slots_wish_no + (?2 IS NOT NULL), reload_no = reload_no + ?3 WHERE id = ?1`,
  );
  let cleared = false;

  return {
    now: async () => writer.read(() => clock(now())?.now ?? 0),
    report: async (member) =>
      writer.relaxed(() => {
        if (!cleared) forget(now());
        cleared = true;
        const row = report(...memberValues(member), Number(member.draining), now());
        if (row === undefined) throw new Error("a report left no row");
        return { now: row.now, wishes: toWishes(row) };
      }),
    leave: async (id) => void writer.relaxed(() => leave(id)),
    members: async () => writer.read(() => members(now()).map(toMember)),
    wish: async (id, { slots, reload }) =>
      writer.write(() => wish(id, slots ?? null, Number(reload === true)) > 0),
  };
}
