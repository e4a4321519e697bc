import type { Admission, Posting, RunNo } from "../../../contracts/run-store.ts";
import type { RunStatus } from "../../../domain/run.ts";
import { Ledger, type Place } from "./ledger.ts";
import { keysThatDoNotWait, loadQueue, lockDoors, type QueueState } from "./queue.ts";
import type { Tx } from "./session.ts";
import { type Rows, statement } from "./sql.ts";

/** What a batch is about, known before anything is read. */
export interface Scope {
  /** Public ids of all runs that are named. */
  readonly runs: ReadonlySet<string>;
  /** Runs that may end: their parents and open children are locked too. */
  readonly ending: readonly RunNo[];
  readonly leases: readonly RunNo[];
  /** Public ids of runs whose place matters because they are written to. */
  readonly targets: ReadonlySet<string>;
  /** Messages that may be there already, or that are consumed. */
  readonly messages: readonly { readonly run: string; readonly id: string }[];
  /** Public ids of runs whose unconsumed messages are counted. */
  readonly counted: ReadonlySet<string>;
  readonly admissions: readonly Admission[];
  /** They came by a door: caps count. */
  readonly door: boolean;
}

interface RunRow {
  readonly no: number;
  readonly id: string;
  readonly status: RunStatus;
  readonly paused: boolean;
  readonly parent_no: number | null;
  readonly parent_id: string | null;
  readonly tenant: string;
  readonly priority: number;
  readonly gated: boolean;
}

const COLUMNS = "no, id, status, paused, parent_no, parent_id, tenant, priority, gated";

/** In the order of their numbers, so that two batches never wait for one another. */
const LOCK = statement(
  `SELECT ${COLUMNS} FROM run WHERE id = ANY($1::text[])
   ORDER BY no FOR NO KEY UPDATE`,
);
const LOCK_FAMILY = statement(
  `SELECT ${COLUMNS} FROM run WHERE no = ANY(ARRAY(
     SELECT no FROM run WHERE id = ANY($1::text[])
     UNION SELECT parent_no FROM run WHERE no = ANY($2::bigint[]) AND parent_no IS NOT NULL
     UNION SELECT no FROM run WHERE parent_no = ANY($2::bigint[]) AND ended_at IS NULL))
   ORDER BY no FOR NO KEY UPDATE`,
);
/** With the other users of slots that do not wait. */
const LOCK_USERS = statement(
  `SELECT ${COLUMNS} FROM run WHERE no = ANY(ARRAY(
     SELECT no FROM run WHERE id = ANY($1::text[])
     UNION SELECT parent_no FROM run WHERE no = ANY($2::bigint[]) AND parent_no IS NOT NULL
     UNION SELECT no FROM run WHERE parent_no = ANY($2::bigint[]) AND ended_at IS NULL
     UNION SELECT run_no FROM run_slot WHERE key = ANY($3::text[])))
   ORDER BY no FOR NO KEY UPDATE`,
);
const LEASES = statement("SELECT run_no, token, at FROM lease WHERE run_no = ANY($1::bigint[])");
/** Locked, so that a timer which wakes the run at this moment goes before us or not at all. */
const RESTING = statement(
  `SELECT run_no FROM rest WHERE run_no = ANY(ARRAY(SELECT no FROM run WHERE id = ANY($1::text[])))
   ORDER BY run_no FOR UPDATE`,
);
const KIN_RESTING = statement(
  `SELECT run_no FROM rest WHERE run_no = ANY(ARRAY(
     SELECT parent_no FROM run WHERE no = ANY($1::bigint[]) AND parent_no IS NOT NULL
     UNION SELECT no FROM run WHERE parent_no = ANY($1::bigint[]) AND ended_at IS NULL))
   ORDER BY run_no FOR UPDATE`,
);
const MESSAGES = statement(
  `SELECT inbox.run_no, inbox.id, inbox.consumed FROM unnest($1::text[], $2::text[]) AS asked (run, id)
   JOIN run ON run.id = asked.run JOIN inbox ON inbox.run_no = run.no AND inbox.id = asked.id`,
);
const OPEN = statement(
  `SELECT run.no AS run_no, (SELECT count(*) FROM inbox WHERE inbox.run_no = run.no AND NOT consumed) AS open
   FROM run WHERE run.id = ANY($1::text[])`,
);
const OPEN_CHILDREN = statement(
  "SELECT parent_no, id FROM run WHERE parent_no = ANY($1::bigint[]) AND ended_at IS NULL ORDER BY no",
);
const KEYS = statement(
  `SELECT run.tenant, run.idem_key, run.id, run.idem_hash FROM unnest($1::text[], $2::text[]) AS asked (tenant, key)
   JOIN run ON run.tenant = asked.tenant AND run.idem_key = asked.key AND run.idem_key IS NOT NULL`,
);
const NUMBERS = statement("SELECT nextval('run_no') AS no FROM generate_series(1, $1)");

const USERS_RESTING = statement(
  `SELECT run_no FROM rest WHERE run_no = ANY(ARRAY(SELECT run_no FROM run_slot WHERE key = ANY($1::text[])))
   ORDER BY run_no FOR UPDATE`,
);

export interface KnownKey {
  readonly id: string;
  readonly idem_hash: string;
}

export interface Loaded {
  readonly ledger: Ledger;
  readonly keys: Map<string, KnownKey>;
  /** As many as there are admissions. */
  readonly numbers: number[];
  readonly children: Map<RunNo, string[]>;
  readonly queue: QueueState;
}

export const keyOf = (tenant: string, key: string): string => JSON.stringify([tenant, key]);

const NONE: Promise<Rows<never>> = Promise.resolve([]);

/** What matters only when runs end. */
function loadKin(tx: Tx, ending: readonly RunNo[]) {
  if (ending.length === 0) return { resting: NONE, children: NONE };
  return {
    resting: tx.many<{ run_no: number }>(KIN_RESTING, [ending]),
    children: tx.many<{ parent_no: number; id: string }>(OPEN_CHILDREN, [ending]),
  };
}

function loadAdmissions(tx: Tx, admissions: readonly Admission[]) {
  if (admissions.length === 0) return { keys: NONE, numbers: NONE };
  const keyed = admissions.flatMap(({ request, idempotency }) =>
    idempotency === null ? [] : [{ tenant: request.tenant, key: idempotency.key }],
  );
  return {
    numbers: tx.many<{ no: number }>(NUMBERS, [admissions.length]),
    keys:
      keyed.length === 0
        ? NONE
        : tx.many<KnownKey & { tenant: string; idem_key: string }>(KEYS, [
            keyed.map(({ tenant }) => tenant),
            keyed.map(({ key }) => key),
          ]),
  };
}

function lockRuns(tx: Tx, scope: Scope, users: readonly string[]): Promise<Rows<RunRow>> {
  const runs = [...scope.runs];
  if (users.length > 0) return tx.many<RunRow>(LOCK_USERS, [runs, scope.ending, users]);
  if (scope.ending.length > 0) return tx.many<RunRow>(LOCK_FAMILY, [runs, scope.ending]);
  return tx.many<RunRow>(LOCK, [runs]);
}

function loadResting(tx: Tx, targets: ReadonlySet<string>, users: readonly string[]) {
  return {
    targets: targets.size === 0 ? NONE : tx.many<{ run_no: number }>(RESTING, [[...targets]]),
    users: users.length === 0 ? NONE : tx.many<{ run_no: number }>(USERS_RESTING, [users]),
  };
}

/**
 * Locks and reads what a batch is about: one trip. Each statement after the first sees what was committed while the
 * first waited for its locks.
 */
export async function load(tx: Tx, scope: Scope): Promise<Loaded> {
  const users = keysThatDoNotWait(scope.admissions);
  lockDoors(tx, scope, users);
  const locked = lockRuns(tx, scope, users);
  tx.identify();
  const leases =
    scope.leases.length === 0
      ? NONE
      : tx.many<{ run_no: number; token: number; at: number }>(LEASES, [scope.leases]);
  const resting = loadResting(tx, scope.targets, users);
  const kin = loadKin(tx, scope.ending);
  const messages =
    scope.messages.length === 0
      ? NONE
      : tx.many<{ run_no: number; id: string; consumed: boolean }>(MESSAGES, [
          scope.messages.map(({ run }) => run),
          scope.messages.map(({ id }) => id),
        ]);
  const open =
    scope.counted.size === 0 ? NONE : tx.many<{ run_no: number; open: number }>(OPEN, [[...scope.counted]]);
  const admissions = loadAdmissions(tx, scope.admissions);
  const queue = loadQueue(tx, scope, users);

  const ledger = new Ledger();
  const held = new Map((await leases).map((row) => [row.run_no, row]));
  const rests = [...(await resting.targets), ...(await resting.users), ...(await kin.resting)];
  const atRest = new Set(rests.map((row) => row.run_no));
  for (const row of await locked) ledger.runs.set(row.id, heldRun(row, held.get(row.no), atRest.has(row.no)));
  const byNo = new Map([...ledger.runs.values()].map((run) => [run.no, run]));
  for (const row of await messages) byNo.get(row.run_no)?.messages.set(row.id, !row.consumed);
  for (const row of await open) {
    const run = byNo.get(row.run_no);
    if (run !== undefined) run.open = row.open;
  }
  const children = new Map<RunNo, string[]>();
  for (const { parent_no, id } of await kin.children) {
    children.set(parent_no, [...(children.get(parent_no) ?? []), id]);
  }
  const keys = new Map((await admissions.keys).map((row) => [keyOf(row.tenant, row.idem_key), row]));
  const numbers = (await admissions.numbers).map((row) => row.no);
  return { ledger, keys, numbers, children, queue: await queue(ledger) };
}

/** The parents of runs that give way, which are told. */
export async function loadParents(tx: Tx, ledger: Ledger, parents: readonly string[]): Promise<void> {
  const missing = parents.filter((id) => !ledger.runs.has(id));
  if (missing.length === 0) return;
  const [locked, resting] = await Promise.all([
    tx.many<RunRow>(LOCK, [missing]),
    tx.many<{ run_no: number }>(RESTING, [missing]),
  ]);
  const atRest = new Set(resting.map((row) => row.run_no));
  for (const row of locked) ledger.runs.set(row.id, heldRun(row, undefined, atRest.has(row.no)));
}

function heldRun(
  row: RunRow,
  lease: { readonly token: number; readonly at: number } | undefined,
  resting: boolean,
) {
  const place: Place =
    lease !== undefined
      ? { at: "lease", token: lease.token, since: lease.at }
      : resting
        ? { at: "rest", wakeAt: null, waitingFor: [] }
        : { at: row.status === "queued" || row.status === "running" ? "elsewhere" : "nowhere" };
  return {
    no: row.no,
    id: row.id,
    parentNo: row.parent_no,
    parentId: row.parent_id,
    tenant: row.tenant,
    priority: row.priority,
    gated: row.gated,
    was: place.at,
    status: row.status,
    paused: row.paused,
    place,
    hurried: false,
    open: 0,
    messages: new Map<string, boolean>(),
  };
}

/** What posting needs to know. */
export function scopeOfPosts(posts: readonly Posting[]): Pick<Scope, "targets" | "messages" | "counted"> {
  const targets = new Set(posts.map(({ run }) => run));
  return { targets, messages: posts.map(({ run, id }) => ({ run, id })), counted: targets };
}
