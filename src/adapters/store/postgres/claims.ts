import type { Claim, RunNo } from "../../../contracts/run-store.ts";
import { PARKED_PER_CLAIM } from "../../../domain/queue.ts";
import type { Tx } from "./session.ts";
import { LOCK_SLOTS, type SlotRow, wake } from "./slots.ts";
import { statement } from "./sql.ts";

export interface ClaimOrder {
  readonly worker: string;
  readonly limit: number;
  readonly shard: number;
  readonly now: number;
}

interface Head {
  readonly no: RunNo;
  readonly run: string;
  readonly lane: number;
  readonly priority: number;
  readonly vt: number;
  readonly gated: boolean;
  /** `null` when it has not been taken yet. */
  readonly token: number | null;
}

interface Wanted {
  readonly run_no: RunNo;
  readonly key: string;
}

/** Heads looked at at once after some had to be put aside. */
const NEXT_HEADS = 128;

export const HOLD_WORKER = statement("SELECT 1 AS known FROM worker WHERE id = $1 FOR KEY SHARE");
/** Numbers of the lanes whose needs the worker's labels hold all of, as `hasLabels` has it. */
export const SERVED = (worker: string) => `(
     SELECT 0 AS lane UNION ALL
     SELECT id FROM lane WHERE labels::jsonb <@ (SELECT labels::jsonb FROM worker WHERE id = ${worker})) AS served`;
const CHOSEN = (worker: string, limit: string) => `chosen AS MATERIALIZED (
     SELECT head.lane, head.priority, head.vt, head.run_no, head.gated
     FROM ${SERVED(worker)} CROSS JOIN LATERAL (
       SELECT lane, priority, vt, run_no, gated FROM ready WHERE ready.lane = served.lane
       ORDER BY priority, vt, run_no LIMIT ${limit} FOR UPDATE SKIP LOCKED) AS head
     WHERE EXISTS (SELECT 1 FROM worker WHERE id = ${worker})
     ORDER BY priority, vt, run_no LIMIT ${limit})`;
const HEAD = `run_no AS no, (SELECT id FROM run WHERE run.no = run_no) AS run, lane, priority, vt, gated`;
/** Whether the worker is known, and whether anybody waits whom it could take. */
export const LOOK = statement(
  `SELECT EXISTS (SELECT 1 FROM worker WHERE id = $1) AS known,
     EXISTS (SELECT 1 FROM ${SERVED("$1")} CROSS JOIN LATERAL (
       SELECT 1 FROM ready WHERE ready.lane = served.lane LIMIT 1) AS head) AS waits`,
);
/**
 * Takes the first heads that name no slots and locks those that do. Numbers that others count in too are changed only
 * when no slot is to be locked after them.
 */
const CLAIM = statement(
  `WITH ${CHOSEN("$1", "$2")},
   gone AS (
     DELETE FROM ready USING chosen WHERE ready.lane = chosen.lane AND ready.priority = chosen.priority
       AND ready.vt = chosen.vt AND ready.run_no = chosen.run_no AND NOT chosen.gated
     RETURNING ready.lane, ready.priority, ready.vt, ready.run_no),
   taken AS MATERIALIZED (
     SELECT *, nextval('fence') AS token FROM (SELECT * FROM gone ORDER BY priority, vt, run_no) AS sorted),
   held AS (INSERT INTO lease (run_no, token, worker, at) SELECT run_no, token, $1, $4 FROM taken),
   free AS (SELECT NOT EXISTS (SELECT 1 FROM chosen WHERE gated) AS free),
   counted AS (
     UPDATE counter SET ready = ready - (SELECT count(*) FROM taken) WHERE shard = $3
       AND (SELECT free FROM free) AND EXISTS (SELECT 1 FROM taken)),
   raised AS (
     INSERT INTO floor (priority, shard, vt)
     SELECT priority, $3, max(vt) FROM taken WHERE vt > 0 AND (SELECT free FROM free) GROUP BY priority
     ON CONFLICT (priority, shard) DO UPDATE SET vt = excluded.vt WHERE floor.vt < excluded.vt)
   SELECT ${HEAD}, token FROM (
     SELECT run_no, lane, priority, vt, false AS gated, token FROM taken
     UNION ALL SELECT run_no, lane, priority, vt, true, NULL FROM chosen WHERE gated) AS heads
   ORDER BY priority, vt, run_no`,
);
const HEADS = statement(
  `WITH ${CHOSEN("$1", "$2")} SELECT ${HEAD}, NULL AS token FROM chosen ORDER BY priority, vt, run_no`,
);
/** What runs that are admitted at this moment brought with them, after the last that named it had gone. */
const BRING_SLOTS = statement(
  `INSERT INTO slot (key, cap)
   SELECT DISTINCT ON (key) key, cap FROM run_slot
   WHERE run_no = ANY($1::bigint[]) AND NOT held AND (SELECT true FROM slot WHERE slot.key = run_slot.key) IS NULL
   ORDER BY key, run_no DESC ON CONFLICT (key) DO NOTHING`,
);
const WANTED = statement(
  "SELECT run_no, key FROM run_slot WHERE run_no = ANY($1::bigint[]) AND NOT held ORDER BY run_no, key",
);
/** A claim that has slots in hand already waits for no others: somebody may hold those and wait for these. */
const LOCK_FREE_SLOTS = statement(
  "SELECT key, cap, held FROM slot WHERE key = ANY($1::text[]) ORDER BY key FOR NO KEY UPDATE SKIP LOCKED",
);
const UNQUEUE = statement("DELETE FROM ready WHERE run_no = ANY($1::bigint[])");
export const LEASE = statement(
  `INSERT INTO lease (run_no, token, worker, at)
   SELECT run_no, nextval('fence'), $2, $3 FROM unnest($1::bigint[]) WITH ORDINALITY AS taken (run_no, ord) ORDER BY ord
   RETURNING run_no, token`,
);
const TAKE_SLOTS = statement("UPDATE run_slot SET held = true WHERE run_no = ANY($1::bigint[]) AND NOT held");
const PARK = statement(
  `INSERT INTO parked (key, lane, priority, vt, run_no)
   SELECT aside.key, run.lane, run.priority, run.vt, run.no
   FROM unnest($1::bigint[], $2::text[]) AS aside (run_no, key) JOIN run ON run.no = aside.run_no`,
);
const RAISE_FLOORS = statement(
  `INSERT INTO floor (priority, shard, vt)
   SELECT priority, $1, vt FROM unnest($2::int[], $3::bigint[]) AS raised (priority, vt) ORDER BY priority
   ON CONFLICT (priority, shard) DO UPDATE SET vt = excluded.vt WHERE floor.vt < excluded.vt`,
);
const COUNT = statement("UPDATE counter SET ready = ready + $2, parked = parked + $3 WHERE shard = $1");

type Taken = Head & { readonly token: number };

/** One claim that met runs with slots. */
class SlottedClaim {
  readonly #tx: Tx;
  readonly #of: ClaimOrder;
  readonly taken: Taken[] = [];
  parked = 0;
  woken = 0;
  /** The next head's slots are in other hands at this moment. */
  blocked = false;
  #holdsSlots = false;

  constructor(tx: Tx, of: ClaimOrder) {
    this.#tx = tx;
    this.#of = of;
  }

  /** Takes or puts aside heads that are locked, in order; true when others came to the queue for that. */
  async take(heads: readonly Head[]): Promise<boolean> {
    for (const head of heads) if (head.token !== null) this.taken.push(head as Taken);
    const locked = heads.filter((head) => head.token === null);
    const { wanted, slots } = await this.#slotsOf(locked.filter((head) => head.gated));
    const accepted: Head[] = [];
    const aside: { readonly no: RunNo; readonly key: string }[] = [];
    let woke = false;
    for (const head of locked) {
      if (this.taken.length + accepted.length >= this.#of.limit || woke) break;
      const keys = head.gated ? (wanted.get(head.no) ?? []).map(({ key }) => key) : [];
      const rooms = keys.flatMap((key) => slots.get(key) ?? []);
      this.blocked = rooms.length < keys.length;
      if (this.blocked) break;
      const full = rooms.find((slot) => slot.held >= slot.cap);
      if (full === undefined) {
        for (const slot of rooms) slot.held += 1;
        accepted.push(head);
        continue;
      }
      aside.push({ no: head.no, key: full.key });
      const free = rooms.flatMap((slot) => (slot.held < slot.cap ? [slot.key] : []));
      const others = await wake(
        this.#tx,
        free.map((key) => ({ key, lane: head.lane, amount: 1 })),
      );
      this.woken += others;
      // Whoever is ready for that may stand before the heads that were read.
      woke = others > 0;
    }
    await this.#write(accepted, aside);
    return woke;
  }

  async #slotsOf(gated: readonly Head[]) {
    if (gated.length === 0) return { wanted: new Map<RunNo, Wanted[]>(), slots: new Map<string, SlotRow>() };
    const runs = gated.map((head) => head.no);
    if (!this.#holdsSlots) this.#tx.run(BRING_SLOTS, [runs]);
    const wanted = await this.#tx.many<Wanted>(WANTED, [runs]);
    const keys = [...new Set(wanted.map(({ key }) => key))];
    const lock = this.#holdsSlots ? LOCK_FREE_SLOTS : LOCK_SLOTS;
    const slots = await this.#tx.many<SlotRow>(lock, [keys]);
    this.#holdsSlots = true;
    return {
      wanted: Map.groupBy(wanted, (one) => one.run_no),
      slots: new Map(slots.map((slot) => [slot.key, { ...slot }])),
    };
  }

  async #write(accepted: readonly Head[], aside: readonly { readonly no: RunNo; readonly key: string }[]) {
    const { worker, now } = this.#of;
    const runs = accepted.map((head) => head.no);
    this.parked += aside.length;
    if (runs.length + aside.length > 0) this.#tx.run(UNQUEUE, [[...runs, ...aside.map(({ no }) => no)]]);
    if (aside.length > 0) this.#tx.run(PARK, [aside.map(({ no }) => no), aside.map(({ key }) => key)]);
    if (runs.length === 0) return;
    const leased = this.#tx.many<{ run_no: RunNo; token: number }>(LEASE, [runs, worker, now]);
    const gated = accepted.flatMap((head) => (head.gated ? [head.no] : []));
    if (gated.length > 0) this.#tx.run(TAKE_SLOTS, [gated]);
    const tokens = new Map((await leased).map((row) => [row.run_no, row.token]));
    for (const head of accepted) this.taken.push({ ...head, token: tokens.get(head.no) ?? 0 });
  }

  /** Last of all: whoever counts in the same rows waits until the commit. */
  count(): void {
    const { shard } = this.#of;
    const floors = new Map<number, number>();
    for (const { priority, vt } of this.taken) {
      if (vt > (floors.get(priority) ?? 0)) floors.set(priority, vt);
    }
    if (floors.size > 0) this.#tx.run(RAISE_FLOORS, [shard, [...floors.keys()], [...floors.values()]]);
    const ready = this.woken - this.taken.length - this.parked;
    this.#tx.run(COUNT, [shard, ready, this.parked - this.woken]);
  }
}

export interface Claimed {
  readonly claims: readonly Claim[];
  /** There is more to look at: what was put aside was too much for one claim, or a slot was in other hands. */
  readonly more: boolean;
}

function inClaimOrder(a: Head, b: Head): number {
  return a.priority - b.priority || a.vt - b.vt || a.no - b.no;
}

async function claimSlotted(tx: Tx, of: ClaimOrder, first: readonly Head[]): Promise<Claimed> {
  const claim = new SlottedClaim(tx, of);
  let heads = first;
  let most = of.limit;
  for (;;) {
    const parked = claim.parked;
    const woke = await claim.take(heads);
    if (claim.taken.length >= of.limit || claim.parked >= PARKED_PER_CLAIM || claim.blocked) break;
    if (!woke && claim.parked === parked && heads.length < most) break;
    most = Math.min(NEXT_HEADS, PARKED_PER_CLAIM - claim.parked);
    heads = await tx.many<Head>(HEADS, [of.worker, most]);
  }
  claim.count();
  const claims = claim.taken
    .sort(inClaimOrder)
    .map(({ no, run, token }) => ({ no, run, token, worker: of.worker }));
  return { claims, more: claims.length < of.limit && (claim.blocked || claim.parked >= PARKED_PER_CLAIM) };
}

/** `null` when the worker is not known. Durable before it is answered: a lost claim's token must not be given again. */
export async function claim(tx: Tx, of: ClaimOrder): Promise<Claimed | null> {
  const [known, heads] = await Promise.all([
    tx.many(HOLD_WORKER, [of.worker]),
    tx.many<Head>(CLAIM, [of.worker, of.limit, of.shard, of.now]),
  ]);
  if (known.length === 0) return null;
  if (heads.some((head) => head.gated)) return claimSlotted(tx, of, heads);
  const claims = heads.map(({ no, run, token }) => ({ no, run, token: token ?? 0, worker: of.worker }));
  return { claims, more: false };
}
