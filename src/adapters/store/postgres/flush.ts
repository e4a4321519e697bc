import { HALF_LIFE_MS, MOST_HALF_LIVES } from "../../../domain/service-rate.ts";
import { COUNTERS, type HeldRun, type Ledger, type NewRun, type RunChange } from "./ledger.ts";
import { flushQueue } from "./places.ts";
import type { Tx } from "./session.ts";
import { statement } from "./sql.ts";

/** As `fade` does, in the row itself: others write to it too. */
const FADE = `power(0.5::float8, least(greatest($4 - served_at, 0) / ${HALF_LIFE_MS}.0, ${MOST_HALF_LIVES}))`;

/** Blobs are named by what they hold: one that is there already is the same. Prune takes the lock alone. */
const BLOBS_LOCK = statement("SELECT pg_advisory_xact_lock_shared(4715, 2)");
const BLOBS = statement(
  `INSERT INTO blob (hash, enc, size, data)
   SELECT * FROM unnest($1::bytea[], $2::text[], $3::int[], $4::bytea[]) ON CONFLICT (hash) DO NOTHING`,
);
const RUNS = statement(
  `INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title,
     parent_no, parent_id, parent_step, idem_key, idem_hash, created_at, deadline_at, lane, gated)
   SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::text[],
     $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[],
     $16::bigint[], $17::bigint[], $18::int[], $19::boolean[])`,
);
const FACTS = statement(
  `INSERT INTO journal (run_no, seq, at, kind, step, attempt, token, body, blob)
   SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::int[], $7::bigint[],
     $8::text[], $9::bytea[])`,
);
const MESSAGES = statement(
  `INSERT INTO inbox (run_no, id, kind, name, body, sender, at)
   SELECT run_no, id, kind, name, body, sender, at FROM
     unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
     WITH ORDINALITY AS added (run_no, id, kind, name, body, sender, at, ord) ORDER BY ord
   ON CONFLICT (run_no, id) DO NOTHING`,
);
const CONSUME = statement(
  `UPDATE inbox SET consumed = true FROM unnest($1::bigint[], $2::text[]) AS done (run_no, id)
   WHERE inbox.run_no = done.run_no AND inbox.id = done.id AND NOT inbox.consumed`,
);
const ASK = statement(
  `INSERT INTO approval (run_no, requested_at, step, id, title, details, risk, expires_at)
   SELECT run_no, at, step, id, title, details, risk, expires_at FROM
     unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[])
     WITH ORDINALITY AS added (run_no, at, step, id, title, details, risk, expires_at, ord) ORDER BY ord`,
);
const CLOSE = statement(
  `UPDATE approval SET status = closed.status FROM unnest($1::bigint[], $2::text[], $3::text[]) AS closed (run_no, id, status)
   WHERE approval.id = closed.id AND approval.run_no = closed.run_no AND approval.status = 'pending'`,
);
const WITHDRAW = statement(
  "UPDATE approval SET status = 'withdrawn' WHERE run_no = ANY($1::bigint[]) AND status = 'pending'",
);
const CLEAR = statement("DELETE FROM inbox WHERE run_no = ANY($1::bigint[])");
const RELEASE = statement("DELETE FROM lease WHERE run_no = ANY($1::bigint[])");
const UNREST = statement("DELETE FROM rest WHERE run_no = ANY($1::bigint[])");
const CHANGE = statement(
  `UPDATE run SET status = new.status, paused = new.paused, started_at = coalesce(new.started_at, run.started_at),
     ended_at = new.ended_at, result = new.result, result_blob = new.result_blob
   FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[])
     AS new (no, status, paused, started_at, ended_at, result, result_blob)
   WHERE run.no = new.no`,
);
const REST = statement(
  `INSERT INTO rest (run_no, wake_at, waiting_for) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])`,
);
const READY_OWN = statement(
  `INSERT INTO ready (lane, priority, vt, run_no, gated)
   SELECT lane, priority, vt, no, gated FROM run WHERE no = ANY($1::bigint[])`,
);
const READY_FIRST = statement(
  "INSERT INTO ready (lane, priority, vt, run_no, gated) SELECT 0, 0, 0, unnest($1::bigint[]), false",
);
const RUN_SLOTS = statement(
  `INSERT INTO run_slot (run_no, key, cap, hold) SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::text[])`,
);
const SHARES = statement(
  `UPDATE share SET vt = new.vt FROM unnest($1::text[], $2::int[], $3::bigint[]) AS new (tenant, priority, vt)
   WHERE share.tenant = new.tenant AND share.priority = new.priority`,
);
const WAITING = statement(
  `INSERT INTO waiting (tenant, priority, shard, n)
   SELECT tenant, priority, $1, n FROM unnest($2::text[], $3::int[], $4::bigint[]) AS more (tenant, priority, n)
   ORDER BY tenant, priority
   ON CONFLICT (tenant, priority, shard) DO UPDATE SET n = waiting.n + excluded.n`,
);
const COUNT = statement(
  `UPDATE counter SET ${COUNTERS.map((name, index) => `${name} = ${name} + $${index + 5}`).join(", ")},
     served_runs = served_runs * ${FADE} + $2, served_ms = served_ms * ${FADE} + $3,
     served_at = greatest(served_at, $4)
   WHERE shard = $1`,
);

/** Sends everything a batch has to write, in an order that keeps every law at every statement. */
export async function flush(tx: Tx, ledger: Ledger, shard: number): Promise<void> {
  flushBlobs(tx, ledger);
  flushRuns(tx, ledger);
  flushFacts(tx, ledger);
  flushMessages(tx, ledger);
  flushApprovals(tx, ledger);
  await flushQueue(tx, ledger);
  flushPlaces(tx, ledger);
  flushCounters(tx, ledger, shard);
}

function flushRuns(tx: Tx, { newRuns, shares }: Ledger): void {
  if (newRuns.length === 0) return;
  tx.run(RUNS, columnsOfRuns(newRuns));
  const named = newRuns.flatMap(({ no, slots }) => slots.map((slot) => ({ no, ...slot })));
  if (named.length > 0) {
    tx.run(RUN_SLOTS, [
      named.map(({ no }) => no),
      named.map(({ key }) => key),
      named.map(({ limit }) => limit),
      named.map(({ hold }) => hold),
    ]);
  }
  const moved = [...shares.values()].filter((share) => share.moved);
  if (moved.length > 0) {
    tx.run(SHARES, [
      moved.map(({ tenant }) => tenant),
      moved.map(({ priority }) => priority),
      moved.map(({ vt }) => vt),
    ]);
  }
}

function flushPlaces(tx: Tx, ledger: Ledger): void {
  const left = [...ledger.runs.values()].filter((run) => run.place.at !== run.was);
  send(
    tx,
    RELEASE,
    left.filter((run) => run.was === "lease"),
  );
  send(
    tx,
    UNREST,
    left.filter((run) => run.was === "rest"),
  );
  if (ledger.changes.size > 0) tx.run(CHANGE, columnsOfChanges(ledger.changes));
  flushRest(tx, left);
  const ready = left.filter((run) => run.place.at === "ready");
  const isFirst = (run: HeldRun) => run.place.at === "ready" && run.place.first;
  send(
    tx,
    READY_OWN,
    ready.filter((run) => !isFirst(run)),
  );
  send(tx, READY_FIRST, ready.filter(isFirst));
}

function send(tx: Tx, to: typeof RELEASE, runs: readonly HeldRun[]): void {
  if (runs.length > 0) tx.run(to, [runs.map((run) => run.no)]);
}

function flushBlobs(tx: Tx, { blobs }: Ledger): void {
  if (blobs.size === 0) return;
  tx.many(BLOBS_LOCK, []);
  // In the order of their names, so that two batches with the same blobs never wait for one another.
  const sorted = [...blobs.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, blob]) => blob);
  tx.run(BLOBS, [
    sorted.map((blob) => blob.hash),
    sorted.map((blob) => blob.enc),
    sorted.map((blob) => blob.size),
    sorted.map((blob) => blob.data),
  ]);
}

function columnsOfRuns(runs: readonly NewRun[]) {
  // By idempotency key and name: two batches that admit the same runs meet at the first of them.
  const key = (run: NewRun) => JSON.stringify([run.tenant, run.idempotency?.key ?? "", run.id]);
  const sorted = runs.length === 1 ? runs : [...runs].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return [
    sorted.map((run) => run.no),
    sorted.map((run) => run.id),
    sorted.map((run) => run.tenant),
    sorted.map((run) => run.queue),
    sorted.map((run) => run.priority),
    sorted.map((run) => run.vt),
    sorted.map((run) => run.workflow.name),
    sorted.map((run) => run.workflow.version),
    sorted.map((run) => run.workflow.hash),
    sorted.map((run) => run.title),
    sorted.map((run) => run.parent?.no ?? null),
    sorted.map((run) => run.parent?.id ?? null),
    sorted.map((run) => run.parent?.step ?? null),
    sorted.map((run) => run.idempotency?.key ?? null),
    sorted.map((run) => run.idempotency?.bodyHash ?? null),
    sorted.map((run) => run.at),
    sorted.map((run) => run.deadlineAt),
    sorted.map((run) => run.lane),
    sorted.map((run) => run.slots.length > 0),
  ];
}

function flushFacts(tx: Tx, { facts }: Pick<Ledger, "facts">): void {
  if (facts.length === 0) return;
  tx.run(FACTS, [
    facts.map((fact) => fact.no),
    facts.map((fact) => fact.seq),
    facts.map((fact) => fact.at),
    facts.map((fact) => fact.kind),
    facts.map((fact) => fact.step),
    facts.map((fact) => fact.attempt),
    facts.map((fact) => fact.token),
    facts.map((fact) => fact.body.text),
    facts.map((fact) => fact.body.blob),
  ]);
}

/** Rejects with the law that the facts of held runs break, if they break one; what it writes is to be undone. */
export async function tryFacts(tx: Tx, { facts }: Ledger): Promise<void> {
  flushFacts(tx, { facts: facts.filter((fact) => fact.token > 0) });
  await tx.settled();
}

function flushMessages(tx: Tx, { messages, consumed, ended }: Ledger): void {
  if (messages.length > 0) {
    // What was said to a run that ends later in the same batch goes with its inbox.
    tx.run(MESSAGES, [
      messages.map((message) => message.no),
      messages.map((message) => message.id),
      messages.map((message) => message.kind),
      messages.map((message) => message.name),
      messages.map((message) => message.body),
      messages.map((message) => message.from),
      messages.map((message) => message.at),
    ]);
  }
  if (consumed.length > 0) tx.run(CONSUME, [consumed.map(({ no }) => no), consumed.map(({ id }) => id)]);
  if (ended.length > 0) tx.run(CLEAR, [ended]);
}

function flushApprovals(tx: Tx, { asked, closed, ended }: Ledger): void {
  if (asked.length > 0) {
    tx.run(ASK, [
      asked.map(({ no }) => no),
      asked.map(({ at }) => at),
      asked.map(({ step }) => step),
      asked.map(({ of }) => of.request.id),
      asked.map(({ of }) => of.request.title),
      asked.map(({ details }) => details),
      asked.map(({ of }) => of.request.risk),
      asked.map(({ of }) => of.request.expiresAt),
    ]);
  }
  if (closed.length > 0) {
    tx.run(CLOSE, [
      closed.map(({ no }) => no),
      closed.map(({ id }) => id),
      closed.map(({ status }) => status),
    ]);
  }
  if (ended.length > 0) tx.run(WITHDRAW, [ended]);
}

function columnsOfChanges(changes: ReadonlyMap<number, RunChange>) {
  const all = [...changes.values()];
  return [
    [...changes.keys()],
    all.map((change) => change.status),
    all.map((change) => change.paused),
    all.map((change) => change.startedAt),
    all.map((change) => change.endedAt),
    all.map((change) => change.result?.text ?? null),
    all.map((change) => change.result?.blob ?? null),
  ];
}

function flushRest(tx: Tx, left: readonly HeldRun[]): void {
  const places = left.flatMap(({ no, place }) => (place.at === "rest" ? [{ no, place }] : []));
  if (places.length === 0) return;
  tx.run(REST, [
    places.map(({ no }) => no),
    places.map(({ place }) => place.wakeAt),
    places.map(({ place }) => JSON.stringify(place.waitingFor)),
  ]);
}

/** Last of all: whoever counts in the same rows waits until the commit. */
function flushCounters(tx: Tx, { counters, served, waiting }: Ledger, shard: number): void {
  const changed = [...waiting.values()].filter(({ n }) => n !== 0);
  if (changed.length > 0) {
    tx.run(WAITING, [
      shard,
      changed.map(({ tenant }) => tenant),
      changed.map(({ priority }) => priority),
      changed.map(({ n }) => n),
    ]);
  }
  const amounts = COUNTERS.map((name) => counters.get(name) ?? 0);
  if (served.at > 0 || amounts.some((amount) => amount !== 0)) {
    tx.run(COUNT, [shard, served.runs, served.ms, served.at, ...amounts]);
  }
}
