import type { ScheduleStore } from "../../../contracts/schedule-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import {
  type Firing,
  reconcileSchedules,
  type Schedule,
  type ScheduleEvent,
  type SchedulePlan,
} from "../../../domain/schedule.ts";
import type { Workflow } from "../../../domain/workflow.ts";
import { encode } from "../sql/encode.ts";
import {
  FIRING_COLUMNS,
  type FiringRow,
  SCHEDULE_COLUMNS,
  type ScheduleRow,
  schedulesOf,
  toFiring,
  toSchedule,
} from "../sql/schedule-row.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";

/** Within the transaction that makes a workflow the newest of its name. */
export type FollowWorkflow = (workflow: Workflow, at: number) => void;

interface Said {
  readonly id: string;
  readonly at: number;
  readonly kind: ScheduleEvent["kind"];
  readonly by: string;
  readonly detail?: string;
}

/** Statements that change schedules; each within a transaction of the caller. */
function createWrites(write: Connection) {
  const insert = write.run(
    `INSERT INTO schedule (${SCHEDULE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
  );
  const say = write.run(
    `INSERT INTO schedule_event (schedule, seq, at, kind, by, detail)
     VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM schedule_event WHERE schedule = ?1), ?2, ?3, ?4, ?5)`,
  );
  const one = write.one<ScheduleRow>(`SELECT ${SCHEDULE_COLUMNS} FROM schedule WHERE id = ?`);
  const setStatus = write.run(
    "UPDATE schedule SET status = ?2, cursor_at = max(cursor_at, ?3), next_at = ?4 WHERE id = ?1",
  );
  const told = ({ id, at, kind, by, detail }: Said) => void say(id, at, kind, by, detail ?? null);
  return {
    one,
    told,
    add(schedule: Schedule): boolean {
      const { id, workflow, origin, spec, status, createdAt, createdBy, cursorAt, nextAt } = schedule;
      const added = insert(
        id,
        workflow,
        origin,
        encode(spec),
        status,
        createdAt,
        createdBy,
        cursorAt,
        nextAt,
      );
      if (added > 0) told({ id, at: createdAt, kind: "created", by: createdBy });
      return added > 0;
    },
    /** An active one is looked at at once, and goes on from `at`. */
    set(id: string, status: Schedule["status"], at: number): void {
      setStatus(id, status, status === "active" ? at : 0, status === "active" ? at : null);
    },
  };
}

type Writes = ReturnType<typeof createWrites>;

export function createFollowWorkflow(write: Connection): FollowWorkflow {
  const writes = createWrites(write);
  const known = write.many<ScheduleRow>(
    `SELECT ${SCHEDULE_COLUMNS} FROM schedule WHERE workflow = ? AND origin = 'workflow' ORDER BY id`,
  );
  return (workflow, at) => {
    const wanted = schedulesOf(workflow, at);
    const { add, revive, retire } = reconcileSchedules(
      known(workflow.name),
      wanted.map(({ id }) => id),
    );
    for (const schedule of wanted) if (add.includes(schedule.id)) writes.add(schedule);
    const by = `workflow ${workflow.hash}`;
    for (const id of revive) {
      writes.set(id, "active", at);
      writes.told({ id, at, kind: "created", by });
    }
    for (const id of retire) {
      writes.set(id, "removed", at);
      writes.told({ id, at, kind: "removed", by });
    }
  };
}

/** Statements of firings; each within a transaction of the caller. */
function createFirings(write: Connection, { told }: Writes) {
  const move = write.run(
    "UPDATE schedule SET cursor_at = ?, next_at = ? WHERE id = ? AND status = 'active' AND cursor_at = ?",
  );
  const fire = write.run(
    "INSERT INTO firing (schedule, due_at, state, at) VALUES (?, ?, 'due', ?) ON CONFLICT DO NOTHING",
  );
  const forget = write.run(
    `DELETE FROM firing WHERE schedule = ?1 AND state IN ('started', 'skipped', 'refused')
       AND due_at < (SELECT due_at FROM firing WHERE schedule = ?1 ORDER BY due_at DESC LIMIT 1 OFFSET ${LIMITS.firingsKept})
       AND NOT EXISTS (SELECT 1 FROM run WHERE run.id = firing.run AND run.ended_at IS NULL)`,
  );
  const one = write.one<FiringRow>(`SELECT ${FIRING_COLUMNS} FROM firing WHERE schedule = ? AND due_at = ?`);
  const settle = write.run(
    "UPDATE firing SET state = ?, run = ?, detail = ?, at = ? WHERE schedule = ? AND due_at = ?",
  );
  return {
    advance(
      id: string,
      from: number,
      { plan, at }: { readonly plan: SchedulePlan; readonly at: number },
    ): boolean {
      if (move(plan.cursorAt, plan.nextAt, id, from) === 0) return false;
      for (const due of plan.fire) fire(id, due, at);
      if (plan.missed !== null)
        told({ id, at, kind: "missed", by: "scheduler", detail: encode(plan.missed) });
      forget(id);
      return true;
    },
    settle(
      { schedule, dueAt }: Pick<Firing, "schedule" | "dueAt">,
      from: readonly Firing["state"][],
      to: Pick<Firing, "state" | "run" | "detail" | "at">,
    ): Firing | null {
      const found = one(schedule, dueAt);
      if (found === undefined) return null;
      if (!from.includes(found.state)) return toFiring(found);
      settle(to.state, to.run, to.detail, to.at, schedule, dueAt);
      return { schedule, dueAt, ...to };
    },
  };
}

function createReads(read: Connection) {
  const select = `SELECT ${SCHEDULE_COLUMNS} FROM schedule`;
  return {
    one: read.one<ScheduleRow>(`${select} WHERE id = ?`),
    all: read.many<ScheduleRow>(`${select} WHERE status <> 'removed' AND id > ? ORDER BY id LIMIT ?`),
    byWorkflow: read.many<ScheduleRow>(
      `${select} WHERE workflow = ? AND status <> 'removed' AND id > ? ORDER BY id LIMIT ?`,
    ),
    due: read.many<ScheduleRow>(
      `${select} WHERE status = 'active' AND next_at IS NOT NULL AND next_at <= ? ORDER BY next_at, id LIMIT ?`,
    ),
    open: read.many<FiringRow>(
      `SELECT ${FIRING_COLUMNS} FROM firing WHERE state IN ('due', 'starting') ORDER BY due_at, schedule LIMIT ?`,
    ),
    openRuns: read.many<{ id: string }>(
      `SELECT run.id FROM firing CROSS JOIN run ON run.id = firing.run
       WHERE firing.schedule = ? AND firing.due_at < ? AND run.ended_at IS NULL ORDER BY firing.due_at`,
    ),
    firings: read.many<FiringRow>(
      `SELECT ${FIRING_COLUMNS} FROM firing WHERE schedule = ? ORDER BY due_at DESC LIMIT ?`,
    ),
    events: read.many<ScheduleEvent>(
      "SELECT seq, at, kind, by, detail FROM schedule_event WHERE schedule = ? ORDER BY seq DESC LIMIT ?",
    ),
  };
}

export function createScheduleStore(write: Connection, read: Connection): ScheduleStore {
  const writes = createWrites(write);
  const firings = createFirings(write, writes);
  const reads = createReads(read);
  const guarded = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, write.path);
    }
  };
  const transact = <T>(work: () => T): Promise<T> => guarded(() => write.transaction(work));

  return {
    add: (schedule) => transact(() => writes.add(schedule)),
    byId: (id) =>
      guarded(() => {
        const row = reads.one(id);
        return row === undefined ? null : toSchedule(row);
      }),
    list: ({ workflow, after, limit }) =>
      guarded(() => {
        const from = after ?? "";
        const rows =
          workflow === undefined ? reads.all(from, limit) : reads.byWorkflow(workflow, from, limit);
        return rows.map(toSchedule);
      }),
    change: (id, { status, by, at }) =>
      transact(() => {
        const found = writes.one(id);
        if (found === undefined || found.status === "removed") return null;
        if (found.status === status) return toSchedule(found);
        writes.set(id, status, at);
        const kind = status === "active" ? "resumed" : status;
        writes.told({ id, at, kind, by });
        return toSchedule({ ...found, ...writes.one(id) });
      }),
    due: (now, limit) => guarded(() => reads.due(now, limit).map(toSchedule)),
    advance: (id, { from, plan, at }) => transact(() => firings.advance(id, from, { plan, at })),
    open: (limit) => guarded(() => reads.open(limit).map(toFiring)),
    settle: (firing, from, to) => transact(() => firings.settle(firing, from, to)),
    openRuns: (schedule, dueAt) => guarded(() => reads.openRuns(schedule, dueAt).map(({ id }) => id)),
    firings: (schedule, limit) => guarded(() => reads.firings(schedule, limit).map(toFiring)),
    events: (schedule, limit) => guarded(() => reads.events(schedule, limit).map((row) => ({ ...row }))),
  };
}
