import type { ScheduleStore } from "../../../contracts/schedule-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { reconcileSchedules, type Schedule, type ScheduleEvent } from "../../../domain/schedule.ts";
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
import { storeFailure } from "./failures.ts";
import type { Reads } from "./reads.ts";
import type { Session, Tx } from "./session.ts";
import { statement } from "./sql.ts";

const INSERT = statement(
  `INSERT INTO schedule (${SCHEDULE_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
);
const SAY = statement(
  `INSERT INTO schedule_event (schedule, seq, at, kind, by, detail)
   VALUES ($1, (SELECT coalesce(max(seq), 0) + 1 FROM schedule_event WHERE schedule = $1), $2, $3, $4, $5)`,
);
const SELECT = `SELECT ${SCHEDULE_COLUMNS} FROM schedule`;
const BY_ID = statement(`${SELECT} WHERE id = $1`);
const LOCK = statement(`${SELECT} WHERE id = $1 FOR NO KEY UPDATE`);
const LOCK_OF_WORKFLOW = statement(
  `${SELECT} WHERE workflow = $1 AND origin = 'workflow' ORDER BY id FOR NO KEY UPDATE`,
);
const SET_STATUS = statement(
  `UPDATE schedule SET status = $2, cursor_at = greatest(cursor_at, $3), next_at = $4 WHERE id = $1
   RETURNING ${SCHEDULE_COLUMNS}`,
);
const ALL = statement(`${SELECT} WHERE status <> 'removed' AND id > $1 ORDER BY id LIMIT $2`);
const OF_WORKFLOW = statement(
  `${SELECT} WHERE workflow = $1 AND status <> 'removed' AND id > $2 ORDER BY id LIMIT $3`,
);
const DUE = statement(
  `${SELECT} WHERE status = 'active' AND next_at IS NOT NULL AND next_at <= $1 ORDER BY next_at, id LIMIT $2`,
);
const MOVE = statement(
  "UPDATE schedule SET cursor_at = $3, next_at = $4 WHERE id = $1 AND status = 'active' AND cursor_at = $2",
);
const FIRE = statement(
  `INSERT INTO firing (schedule, due_at, state, at) SELECT $1, unnest($2::bigint[]), 'due', $3 ON CONFLICT DO NOTHING`,
);
const FORGET = statement(
  `DELETE FROM firing WHERE schedule = $1 AND state IN ('started', 'skipped', 'refused')
     AND due_at < (SELECT due_at FROM firing WHERE schedule = $1 ORDER BY due_at DESC LIMIT 1 OFFSET ${LIMITS.firingsKept})
     AND NOT EXISTS (SELECT 1 FROM run WHERE run.id = firing.run AND run.ended_at IS NULL)`,
);
const OPEN = statement(
  `SELECT ${FIRING_COLUMNS} FROM firing WHERE state IN ('due', 'starting') ORDER BY due_at, schedule LIMIT $1`,
);
const LOCK_FIRING = statement(
  `SELECT ${FIRING_COLUMNS} FROM firing WHERE schedule = $1 AND due_at = $2 FOR NO KEY UPDATE`,
);
const SETTLE = statement(
  "UPDATE firing SET state = $3, run = $4, detail = $5, at = $6 WHERE schedule = $1 AND due_at = $2",
);
const OPEN_RUNS = statement(
  `SELECT run.id FROM firing JOIN run ON run.id = firing.run
   WHERE firing.schedule = $1 AND firing.due_at < $2 AND run.ended_at IS NULL ORDER BY firing.due_at`,
);
const FIRINGS = statement(
  `SELECT ${FIRING_COLUMNS} FROM firing WHERE schedule = $1 ORDER BY due_at DESC LIMIT $2`,
);
const EVENTS = statement(
  "SELECT seq, at, kind, by, detail FROM schedule_event WHERE schedule = $1 ORDER BY seq DESC LIMIT $2",
);

interface Said {
  readonly id: string;
  readonly at: number;
  readonly kind: ScheduleEvent["kind"];
  readonly by: string;
  readonly detail?: string;
}

function say(tx: Tx, { id, at, kind, by, detail }: Said): Promise<number> {
  return tx.run(SAY, [id, at, kind, by, detail ?? null]);
}

async function insert(tx: Tx, schedule: Schedule): Promise<boolean> {
  const { id, workflow, origin, spec, status, createdAt, createdBy, cursorAt, nextAt } = schedule;
  const values = [id, workflow, origin, encode(spec), status, createdAt, createdBy, cursorAt, nextAt];
  const added = await tx.run(INSERT, values);
  if (added > 0) await say(tx, { id, at: createdAt, kind: "created", by: createdBy });
  return added > 0;
}

/** An active one is looked at at once, and goes on from `at`. */
async function setStatus(tx: Tx, id: string, of: Pick<Schedule, "status"> & { readonly at: number }) {
  const active = of.status === "active";
  const [row] = await tx.many<ScheduleRow>(SET_STATUS, [
    id,
    of.status,
    active ? of.at : 0,
    active ? of.at : null,
  ]);
  return row;
}

/** Within the transaction that makes a workflow the newest of its name. */
export async function followWorkflow(tx: Tx, workflow: Workflow, at: number): Promise<void> {
  const known = await tx.many<ScheduleRow>(LOCK_OF_WORKFLOW, [workflow.name]);
  const wanted = schedulesOf(workflow, at);
  const { add, revive, retire } = reconcileSchedules(
    known,
    wanted.map(({ id }) => id),
  );
  for (const schedule of wanted) if (add.includes(schedule.id)) await insert(tx, schedule);
  const by = `workflow ${workflow.hash}`;
  for (const id of revive) {
    await setStatus(tx, id, { status: "active", at });
    await say(tx, { id, at, kind: "created", by });
  }
  for (const id of retire) {
    await setStatus(tx, id, { status: "removed", at });
    await say(tx, { id, at, kind: "removed", by });
  }
}

export function createScheduleStore(session: Session, reads: Reads): ScheduleStore {
  const transact = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    try {
      return await session.transaction(async (tx) => {
        const done = await work(tx);
        tx.identify();
        return done;
      });
    } catch (error) {
      throw storeFailure(error, session.database);
    }
  };
  return {
    add: (schedule) => transact((tx) => insert(tx, schedule)),
    async byId(id) {
      const [row] = await reads.many<ScheduleRow>(BY_ID, [id]);
      return row === undefined ? null : toSchedule(row);
    },
    async list({ workflow, after, limit }) {
      const rows =
        workflow === undefined
          ? await reads.many<ScheduleRow>(ALL, [after ?? "", limit])
          : await reads.many<ScheduleRow>(OF_WORKFLOW, [workflow, after ?? "", limit]);
      return rows.map(toSchedule);
    },
    change: (id, { status, by, at }) =>
      transact(async (tx) => {
        const [found] = await tx.many<ScheduleRow>(LOCK, [id]);
        if (found === undefined || found.status === "removed") return null;
        if (found.status === status) return toSchedule(found);
        const changed = await setStatus(tx, id, { status, at });
        await say(tx, { id, at, kind: status === "active" ? "resumed" : status, by });
        return toSchedule(changed ?? found);
      }),
    due: async (now, limit) => (await reads.many<ScheduleRow>(DUE, [now, limit])).map(toSchedule),
    advance: (id, { from, plan, at }) =>
      transact(async (tx) => {
        if ((await tx.run(MOVE, [id, from, plan.cursorAt, plan.nextAt])) === 0) return false;
        if (plan.fire.length > 0) await tx.run(FIRE, [id, plan.fire, at]);
        if (plan.missed !== null) {
          await say(tx, { id, at, kind: "missed", by: "scheduler", detail: encode(plan.missed) });
        }
        await tx.run(FORGET, [id]);
        return true;
      }),
    open: async (limit) => (await reads.many<FiringRow>(OPEN, [limit])).map(toFiring),
    settle: ({ schedule, dueAt }, from, to) =>
      transact(async (tx) => {
        const [found] = await tx.many<FiringRow>(LOCK_FIRING, [schedule, dueAt]);
        if (found === undefined) return null;
        if (!from.includes(found.state)) return toFiring(found);
        await tx.run(SETTLE, [schedule, dueAt, to.state, to.run, to.detail, to.at]);
        return { schedule, dueAt, ...to };
      }),
    openRuns: async (schedule, dueAt) =>
      (await reads.many<{ id: string }>(OPEN_RUNS, [schedule, dueAt])).map(({ id }) => id),
    firings: async (schedule, limit) =>
      (await reads.many<FiringRow>(FIRINGS, [schedule, limit])).map(toFiring),
    events: (schedule, limit) => reads.many<ScheduleEvent>(EVENTS, [schedule, limit]),
  };
}
