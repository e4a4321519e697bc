import type { Admission, RunNo } from "../../../contracts/run-store.ts";
import { laneOf } from "../../../domain/labels.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { classKey, type Ledger, type Share, type Victim } from "./ledger.ts";
import type { Scope } from "./scope.ts";
import type { Tx } from "./session.ts";
import { type Rows, statement } from "./sql.ts";

/** What admissions are judged by, beside the runs themselves. */
export interface QueueState {
  /** Runs that have not begun, of all tenants and by tenant: known when caps count. */
  readonly queued: number;
  readonly byTenant: ReadonlyMap<string, number>;
  /** Numbers of lanes by their labels. */
  readonly lanes: ReadonlyMap<string, number>;
  /** Limits of the slots that are named, as they are; changed by the admissions of the batch. */
  readonly caps: Map<string, number>;
  /** Public ids of the open runs of slots that do not wait, the oldest first. */
  readonly users: Map<string, string[]>;
  /** Keys that a run or its ancestors hold until they end, by the run's public id, with who holds them. */
  readonly above: Map<string, ReadonlyMap<string, string>>;
  /** Who may give way, the first to go first; empty until it is asked for. */
  victims: readonly Victim[];
}

/** One after the other: what is counted at the door stays true until the admission is there to be seen. */
export const DOOR = statement("SELECT pg_advisory_xact_lock(4717, 1)");
const KEY_DOORS = statement(
  `SELECT pg_advisory_xact_lock(4716, door) FROM (
     SELECT DISTINCT hashtext(key) AS door FROM unnest($1::text[]) AS asked (key) ORDER BY door) AS doors`,
);
const ADD_SHARES = statement(
  `INSERT INTO share (tenant, priority)
   SELECT DISTINCT tenant, priority FROM unnest($1::text[], $2::int[]) AS asked (tenant, priority)
   WHERE (SELECT true FROM share WHERE share.tenant = asked.tenant AND share.priority = asked.priority) IS NULL
   ORDER BY tenant, priority ON CONFLICT DO NOTHING`,
);
const SHARES = statement(
  `SELECT share.tenant, share.priority, share.vt,
     (SELECT coalesce(max(floor.vt), 0)::bigint FROM floor WHERE floor.priority = share.priority) AS floor
   FROM share WHERE (share.tenant, share.priority) IN (
     SELECT tenant, priority FROM unnest($1::text[], $2::int[]) AS asked (tenant, priority))
   ORDER BY share.tenant, share.priority FOR NO KEY UPDATE OF share`,
);
const QUEUED = statement("SELECT sum(queued)::bigint AS n FROM counter");
const WAITING = statement(
  `SELECT tenant, sum(n)::bigint AS n FROM waiting WHERE tenant = ANY($1::text[]) GROUP BY tenant`,
);
const ADD_LANES = statement(
  `INSERT INTO lane (labels) SELECT DISTINCT labels FROM unnest($1::text[]) AS asked (labels)
   WHERE (SELECT true FROM lane WHERE lane.labels = asked.labels) IS NULL AND (SELECT count(*) FROM lane) < $2
   ORDER BY labels ON CONFLICT (labels) DO NOTHING`,
);
const LANES = statement("SELECT id, labels FROM lane WHERE labels = ANY($1::text[])");
const CAPS = statement("SELECT key, cap FROM slot WHERE key = ANY($1::text[])");
const USERS = statement(
  `SELECT asked.key, users.id FROM unnest($1::text[]) AS asked (key) CROSS JOIN LATERAL (
     SELECT run.id, run_slot.run_no FROM run_slot JOIN run ON run.no = run_slot.run_no
     WHERE run_slot.key = asked.key ORDER BY run_slot.run_no LIMIT ${LIMITS.slotUsers}) AS users
   ORDER BY asked.key, users.run_no`,
);
const ABOVE = statement(
  `WITH RECURSIVE above (start, no) AS (
     SELECT id, no FROM run WHERE id = ANY($1::text[])
     UNION ALL SELECT above.start, run.parent_no FROM above JOIN run ON run.no = above.no
     WHERE run.parent_no IS NOT NULL)
   SELECT above.start, held.key, (SELECT id FROM run WHERE run.no = above.no) AS holder
   FROM above CROSS JOIN LATERAL (
     SELECT key FROM run_slot WHERE run_slot.run_no = above.no AND hold = 'run' OFFSET 0) AS held`,
);
/** Those that somebody has in hand at this moment are not waited for. */
const VICTIMS = statement(
  `SELECT run.no, run.id, run.tenant, run.priority, run.gated, run.parent_no, run.parent_id,
     CASE WHEN ready.run_no IS NULL THEN 'parked' ELSE 'ready' END AS place
   FROM run
     LEFT JOIN LATERAL (SELECT run_no FROM ready WHERE ready.run_no = run.no FOR UPDATE SKIP LOCKED) AS ready ON true
     LEFT JOIN LATERAL (SELECT run_no FROM parked WHERE parked.run_no = run.no FOR UPDATE SKIP LOCKED) AS parked ON true
   WHERE run.status = 'queued' AND run.priority > $1 AND coalesce(ready.run_no, parked.run_no) IS NOT NULL
     AND (SELECT true FROM journal WHERE journal.run_no = run.no AND journal.seq = 2) IS NULL
     AND (SELECT true FROM run AS child WHERE child.parent_no = run.no AND child.ended_at IS NULL LIMIT 1) IS NULL
   ORDER BY run.priority DESC, run.no DESC LIMIT $2 FOR NO KEY UPDATE OF run SKIP LOCKED`,
);

const NONE: Promise<Rows<never>> = Promise.resolve([]);

function capped({ admissions, door }: Scope): readonly Admission[] {
  if (!door) return [];
  return admissions.filter(({ caps }) => caps?.queue != null || caps?.tenant != null);
}

/** Keys of slots for which an older run matters at once. */
export function keysThatDoNotWait(admissions: readonly Admission[]): string[] {
  const slots = admissions.flatMap(({ request }) => request.slots ?? []);
  return [...new Set(slots.filter((slot) => slot.onConflict !== "queue").map((slot) => slot.key))];
}

export function lockDoors(tx: Tx, scope: Scope, keys: readonly string[]): void {
  if (capped(scope).length > 0) tx.many(DOOR, []);
  if (keys.length > 0) tx.many(KEY_DOORS, [keys]);
}

function loadShares(tx: Tx, admissions: readonly Admission[]): Promise<Rows<Omit<Share, "moved">>> {
  if (admissions.length === 0) return NONE;
  const classes = new Map(
    admissions.map(({ request }) => [classKey(request.tenant, request.priority), request]),
  );
  const columns = [
    [...classes.values()].map(({ tenant }) => tenant),
    [...classes.values()].map(({ priority }) => priority),
  ];
  tx.run(ADD_SHARES, columns);
  return tx.many<Omit<Share, "moved">>(SHARES, columns);
}

function loadLanes(tx: Tx, admissions: readonly Admission[]): Promise<Rows<{ id: number; labels: string }>> {
  const wanted = admissions.flatMap(({ request }) => (request.needs?.length ? [laneOf(request.needs)] : []));
  if (wanted.length === 0) return NONE;
  const lanes = [...new Set(wanted)];
  tx.run(ADD_LANES, [lanes, LIMITS.lanes]);
  return tx.many<{ id: number; labels: string }>(LANES, [lanes]);
}

function loadSlots(tx: Tx, admissions: readonly Admission[], users: readonly string[]) {
  const slotted = admissions.filter(({ request }) => request.slots?.length);
  const keys = [...new Set(slotted.flatMap(({ request }) => (request.slots ?? []).map(({ key }) => key)))];
  const parents = (slotted.length === 0 ? [] : admissions).flatMap(({ request }) =>
    request.parent === null ? [] : [request.parent.run],
  );
  return {
    caps: keys.length === 0 ? NONE : tx.many<{ key: string; cap: number }>(CAPS, [keys]),
    users: users.length === 0 ? NONE : tx.many<{ key: string; id: string }>(USERS, [users]),
    above:
      parents.length === 0
        ? NONE
        : tx.many<{ start: string; key: string; holder: string }>(ABOVE, [[...new Set(parents)]]),
  };
}

/** Asks for everything at once; the answers are awaited in what it returns. */
export function loadQueue(tx: Tx, scope: Scope, userKeys: readonly string[]) {
  const { admissions } = scope;
  const withCaps = capped(scope);
  const shares = loadShares(tx, admissions);
  const lanes = loadLanes(tx, admissions);
  const slots = loadSlots(tx, admissions, userKeys);
  const queued = withCaps.length === 0 ? NONE : tx.many<{ n: number }>(QUEUED, []);
  const tenants = [...new Set(withCaps.map(({ request }) => request.tenant))];
  const waiting = tenants.length === 0 ? NONE : tx.many<{ tenant: string; n: number }>(WAITING, [tenants]);
  return async (ledger: Ledger): Promise<QueueState> => {
    for (const share of await shares) {
      ledger.shares.set(classKey(share.tenant, share.priority), { ...share, moved: false });
    }
    const users = Map.groupBy(await slots.users, (row) => row.key);
    const above = new Map<string, Map<string, string>>();
    for (const { start, key, holder } of await slots.above) {
      above.set(start, (above.get(start) ?? new Map<string, string>()).set(key, holder));
    }
    return {
      queued: (await queued)[0]?.n ?? 0,
      byTenant: new Map((await waiting).map(({ tenant, n }) => [tenant, n])),
      lanes: new Map((await lanes).map(({ id, labels }) => [labels, id])),
      caps: new Map((await slots.caps).map(({ key, cap }) => [key, cap])),
      users: new Map([...users].map(([key, rows]) => [key, rows.map((row) => row.id)])),
      above,
      victims: [],
    };
  };
}

/** Locks those who may have to give way, when the batch may find the queue full; their parents' public ids. */
export async function lockVictims(tx: Tx, scope: Scope, queue: QueueState): Promise<readonly string[]> {
  const withCaps = capped(scope).filter(({ caps }) => caps?.queue != null);
  const tight = withCaps.filter(({ caps }) => queue.queued + scope.admissions.length > (caps?.queue ?? 0));
  if (tight.length === 0) return [];
  const above = Math.min(...tight.map(({ request }) => request.priority));
  queue.victims = await tx.many<Victim>(VICTIMS, [above, tight.length]);
  return queue.victims.flatMap(({ parent_id }) => (parent_id === null ? [] : [parent_id]));
}

/** The newest of the least urgent class. */
export function firstToGo(
  a: { readonly priority: number; readonly no: RunNo },
  b: { readonly priority: number; readonly no: RunNo },
): number {
  return b.priority - a.priority || b.no - a.no;
}
