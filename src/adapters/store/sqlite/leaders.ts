import { hostname } from "node:os";
import type { Leaders } from "../../../contracts/leader.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { TimedLead } from "../sql/lead.ts";
import { isProcessGone } from "../sql/process.ts";
import type { Connection } from "./connection.ts";
import { sqlNow } from "./now.ts";
import type { Writer } from "./writer.ts";

interface Row {
  readonly term: number;
  readonly member: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
  readonly open: number;
}

/** Leases in a table; the file's one writer at a time makes a try atomic. */
export function createLeaders(
  connection: Connection,
  writer: Writer,
  of: { readonly now: () => number | null; readonly ticks: () => number },
): Leaders {
  const { now, ticks } = of;
  const host = hostname();
  const find = connection.one<Row>(`SELECT *, until > ${sqlNow("?2")} AS open FROM leader WHERE duty = ?1`);
  const take = connection.one<{ term: number }>(
    `INSERT INTO leader (duty, term, member, host, pid, process_start, until)
     VALUES (?1, 1, ?2, ?3, ?4, ?5, ${sqlNow("?6")} + ${LIMITS.leadTtlMs})
     ON CONFLICT (duty) DO UPDATE SET term = term + 1, member = excluded.member, host = excluded.host,
       pid = excluded.pid, process_start = excluded.process_start, until = excluded.until RETURNING term`,
  );
  const prolong = connection.run(
    `UPDATE leader SET until = ${sqlNow("?3")} + ${LIMITS.leadTtlMs} WHERE duty = ?1 AND term = ?2`,
  );
  const giveUp = connection.run("UPDATE leader SET until = 0 WHERE duty = ?1 AND term = ?2");
  const leading = connection.many<{ duty: string; member: string; term: number }>(
    `SELECT duty, member, term FROM leader WHERE until > ${sqlNow("?1")} ORDER BY duty`,
  );
  const isFree = (duty: string, member: string) => {
    const row = find(duty, now());
    if (row === undefined || row.open === 0 || row.member === member) return true;
    return row.host === host && isProcessGone(row.pid, row.process_start);
  };

  return {
    async stand(duty, { member, host: from, pid, processStart }) {
      const asked = ticks();
      // Most tries find another: they take no write lock.
      if (!writer.read(() => isFree(duty, member))) return null;
      const taken = writer.write(() =>
        isFree(duty, member) ? take(duty, member, from, pid, processStart, now()) : undefined,
      );
      if (taken === undefined) return null;
      const { term } = taken;
      return new TimedLead({
        duty,
        term,
        ticks,
        asked,
        prolong: async () => writer.relaxed(() => prolong(duty, term, now()) > 0),
        giveUp: async () => void writer.relaxed(() => giveUp(duty, term)),
      });
    },
    leading: async () => writer.read(() => leading(now())),
  };
}
