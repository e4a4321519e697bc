import type { Admission, Claim } from "../../../contracts/run-store.ts";
import { shareStep } from "../../../domain/fair-share.ts";
import { factRow } from "../sql/fact-row.ts";
import { largeBytes } from "../sql/packing.ts";
import { SERVED } from "./claims.ts";
import { DOOR } from "./queue.ts";
import type { Tx } from "./session.ts";
import { statement, type Value } from "./sql.ts";

const PARAMETERS = {
  id: "text",
  tenant: "text",
  queue: "text",
  priority: "int",
  workflow: "text",
  version: "text",
  hash: "text",
  title: "text",
  key: "text",
  keyHash: "text",
  at: "bigint",
  deadline: "bigint",
  sla: "text",
  step: "bigint",
  body: "text",
  shard: "int",
  queueCap: "bigint",
  tenantCap: "bigint",
  worker: "text",
  now: "bigint",
} as const;
type Name = keyof typeof PARAMETERS;
const NAMES = Object.keys(PARAMETERS) as Name[];
const $ = Object.fromEntries(
  NAMES.map((name, index) => [name, `$${index + 1}::${PARAMETERS[name]}`]),
) as Readonly<Record<Name, string>>;

/**
 * One run that names no parent, no labels and no slots: its share moves on, and all else follows from that. No row when
 * it must be looked at more closely: its id or key is known, a cap is reached, or its tenant is new in the class. With
 * nobody in line before it, it goes to a worker that waits, and never through the queue; that worker's row is held
 * until the transaction ends, as a claim holds it. Rows that others count in too are taken in the order that everybody
 * keeps, each part waiting for the one before: floor, waiting, counter.
 */
const ADMIT = statement(
  `WITH moved AS (
     UPDATE share SET vt = ${$.step} + greatest(share.vt,
       (SELECT coalesce(max(floor.vt), 0) FROM floor WHERE floor.priority = ${$.priority}))
     WHERE share.tenant = ${$.tenant} AND share.priority = ${$.priority}
       AND NOT EXISTS (SELECT 1 FROM run WHERE id = ${$.id})
       AND NOT EXISTS (SELECT 1 FROM run WHERE tenant = ${$.tenant} AND idem_key = ${$.key} AND idem_key IS NOT NULL)
       AND (${$.queueCap} IS NULL OR (SELECT sum(queued) FROM counter) < ${$.queueCap})
       AND (${$.tenantCap} IS NULL
         OR (SELECT coalesce(sum(n), 0) FROM waiting WHERE waiting.tenant = ${$.tenant}) < ${$.tenantCap})
     RETURNING share.vt),
   made AS (
     INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title,
       idem_key, idem_hash, created_at, deadline_at, sla)
     SELECT nextval('run_no'), ${$.id}, ${$.tenant}, ${$.queue}, ${$.priority}, moved.vt, ${$.workflow}, ${$.version},
       ${$.hash}, ${$.title}, ${$.key}, ${$.keyHash}, ${$.at}, ${$.deadline}, ${$.sla} FROM moved
     RETURNING no, vt),
   taker AS MATERIALIZED (
     SELECT id FROM worker WHERE id = ${$.worker} AND NOT EXISTS (
       SELECT 1 FROM ${SERVED($.worker)} CROSS JOIN LATERAL (
         SELECT 1 FROM ready WHERE ready.lane = served.lane LIMIT 1) AS head)
     FOR KEY SHARE),
   leased AS (
     INSERT INTO lease (run_no, token, worker, at)
     SELECT made.no, nextval('fence'), taker.id, ${$.now} FROM made CROSS JOIN taker RETURNING token),
   raised AS (
     INSERT INTO floor (priority, shard, vt) SELECT ${$.priority}, ${$.shard}, made.vt FROM made CROSS JOIN taker
     ON CONFLICT (priority, shard) DO UPDATE SET vt = excluded.vt WHERE floor.vt < excluded.vt RETURNING 1),
   begun AS (
     INSERT INTO journal (run_no, seq, at, kind, token, body)
     SELECT no, 1, ${$.at}, 'run_queued', 0, ${$.body} FROM made),
   placed AS (
     INSERT INTO ready (lane, priority, vt, run_no, gated)
     SELECT 0, ${$.priority}, vt, no, false FROM made WHERE NOT EXISTS (SELECT 1 FROM leased)),
   waits AS (
     INSERT INTO waiting (tenant, priority, shard, n) SELECT ${$.tenant}, ${$.priority}, ${$.shard}, 1 FROM made
     WHERE (SELECT count(*) FROM raised) >= 0
     ON CONFLICT (tenant, priority, shard) DO UPDATE SET n = waiting.n + 1 RETURNING 1),
   counted AS (
     UPDATE counter SET queued = queued + 1, ready = ready + CASE WHEN EXISTS (SELECT 1 FROM leased) THEN 0 ELSE 1 END
     WHERE shard = ${$.shard} AND EXISTS (SELECT 1 FROM made) AND (SELECT count(*) FROM waits) >= 0)
   SELECT made.no, (SELECT token FROM leased) AS token FROM made`,
);
/** What a worker holds of a run whose admission was not answered. */
const LEASE_OF = statement(
  "SELECT run.no, lease.token FROM run JOIN lease ON lease.run_no = run.no WHERE run.id = $1 AND lease.worker = $2",
);

interface Admitting {
  readonly shard: number;
  readonly now: number;
  /** Who may have it at once, when nobody is in line before it. */
  readonly worker: string | null;
}

export interface QuickRow {
  readonly no: number;
  readonly token: number | null;
}

/**
 * The values of the quick way: one trip of four statements instead of two of a dozen. `null` for what it cannot do: a
 * run that names what others may hold, or whose request is too large for a row.
 */
export function quickValues(admission: Admission, of: Admitting): readonly Value[] | null {
  const { id, request, idempotency, at, weight = 1, caps } = admission;
  const { parent, needs = [], slots = [], workflow } = request;
  if (parent !== null || needs.length > 0 || slots.length > 0) return null;
  const { text } = factRow({ kind: "run_queued", request, seq: 1, at });
  if (largeBytes(text) !== null) return null;
  const values: Readonly<Record<Name, Value>> = {
    id,
    tenant: request.tenant,
    queue: request.queue,
    priority: request.priority,
    workflow: workflow.name,
    version: workflow.version,
    hash: workflow.hash,
    title: request.title,
    key: idempotency?.key ?? null,
    keyHash: idempotency?.bodyHash ?? null,
    at,
    deadline: request.deadlineAt,
    sla: request.sla === undefined || request.sla === null ? null : JSON.stringify(request.sla),
    step: shareStep(weight),
    body: text,
    shard: of.shard,
    queueCap: caps?.queue ?? null,
    tenantCap: caps?.tenant ?? null,
    worker: of.worker,
    now: of.now,
  };
  return NAMES.map((name) => values[name]);
}

/**
 * Sends all of it, and waits for nothing: the commit goes out with it. An answer that is lost needs no receipt, since
 * whoever admits the same id again is told what became of it.
 */
export function sendQuick(
  tx: Tx,
  values: readonly Value[],
  { capped }: { readonly capped: boolean },
): { readonly rows: Promise<readonly QuickRow[]> } {
  if (capped) tx.many(DOOR, []);
  return { rows: tx.many<QuickRow>(ADMIT, values) };
}

/** The claim that came with an admission whose answer was lost, if one did. */
export async function leaseOf(
  sql: { many: Tx["many"] },
  of: { readonly run: string; readonly worker: string },
): Promise<Claim | null> {
  const [row] = await sql.many<{ no: number; token: number }>(LEASE_OF, [of.run, of.worker]);
  return row === undefined ? null : { no: row.no, run: of.run, token: row.token, worker: of.worker };
}
