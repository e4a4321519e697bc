import type { Admission, RunNo } from "../../../contracts/run-store.ts";
import type { Failure } from "../../../domain/errors.ts";
import { droppedFor, queueFull, tenantQueueFull } from "../../../domain/queue.ts";
import type { Connection } from "./connection.ts";
import type { End } from "./ends.ts";
import type { Journal } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { Shares } from "./shares.ts";
import type { Transaction } from "./transaction.ts";

/** The run that gave way, `null` when there was room, or why there is none. */
export type Room = (tx: Transaction, admission: Admission) => { readonly dropped: string | null } | Failure;

interface Victim {
  readonly no: RunNo;
  readonly id: string;
  readonly tenant: string;
  readonly priority: number;
  readonly parent_id: string | null;
}

interface Parts {
  readonly end: End;
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly shares: Shares;
}

/** Whether a run from a door may come in; in a full queue one of a less urgent class, that has not begun, gives way. */
export function createRoom(connection: Connection, parts: Parts): Room {
  const newest = connection.one<Victim>(
    `SELECT no, id, tenant, priority, parent_id FROM run INDEXED BY run_waiting
     WHERE status = 'queued' AND priority > ?
       AND (EXISTS (SELECT 1 FROM ready WHERE ready.run_no = run.no)
         OR EXISTS (SELECT 1 FROM parked WHERE parked.run_no = run.no))
       AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.run_no = run.no AND journal.seq = 2)
       AND NOT EXISTS (SELECT 1 FROM run AS child INDEXED BY run_open_children
         WHERE child.parent_no = run.no AND child.status IN ('queued', 'running'))
     ORDER BY priority DESC, no DESC LIMIT 1`,
  );

  const drop = (tx: Transaction, victim: Victim, { request, at }: Admission): void => {
    const { no, id, tenant, priority } = victim;
    const why = droppedFor({ priority, by: request.priority });
    parts.lanes.withdraw(tx, no);
    parts.journal.append(no, 0, [{ kind: "run_failed", failure: why, seq: 2, at }]);
    const from = { no, id, status: "queued", tenant, priority, parent: victim.parent_id, at } as const;
    parts.end(tx, from, { kind: "end", status: "failed", output: null, failure: why });
    tx.add("dropped", 1);
    tx.hint({ kind: "facts", run: id });
  };

  return (tx, admission) => {
    const { tenant, priority } = admission.request;
    const { queue = null, tenant: most = null } = admission.caps ?? {};
    const own = most === null ? 0 : parts.shares.waitingOf(tenant);
    if (most !== null && own >= most) {
      tx.add("refused_tenant", 1);
      return tenantQueueFull({ tenant, queued: own, cap: most });
    }
    const queued = tx.add("queued", 0);
    if (queue === null || queued < queue) return { dropped: null };
    const victim = newest(priority);
    if (victim === undefined) {
      tx.add("refused_queue", 1);
      return queueFull({ queued, cap: queue, priority });
    }
    drop(tx, victim, admission);
    return { dropped: victim.id };
  };
}
