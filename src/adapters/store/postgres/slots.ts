import type { RunNo, StoreHint } from "../../../contracts/run-store.ts";
import type { Tx } from "./session.ts";
import { statement } from "./sql.ts";

/** What happens to slots, in the order in which it happens. */
export type SlotEvent =
  /** A run gives back what goes with its lease, or everything. */
  | { readonly kind: "release"; readonly no: RunNo; readonly what: "lease" | "all" }
  /** The latest limit of a key. */
  | { readonly kind: "cap"; readonly key: string; readonly cap: number }
  /** A run left the queue without taking its slots: the next in line for each has its chance. */
  | {
      readonly kind: "pass";
      readonly no: RunNo;
      /** Otherwise only if it is found in the queue. */
      readonly sure: boolean;
    };

interface RunSlot {
  readonly run_no: RunNo;
  readonly key: string;
  readonly hold: "lease" | "run";
  readonly held: boolean;
  readonly lane: number;
}

export interface SlotRow {
  readonly key: string;
  cap: number;
  held: number;
}

/** More room: `lane` is `null` when it is for every lane, since nobody knows which lane's worker comes first. */
interface Wake {
  readonly key: string;
  readonly lane: number | null;
  readonly amount: number;
}

const OF_RUNS = statement(
  `SELECT run_slot.run_no, run_slot.key, run_slot.hold, run_slot.held, run.lane
   FROM run_slot JOIN run ON run.no = run_slot.run_no WHERE run_slot.run_no = ANY($1::bigint[])
   ORDER BY run_slot.run_no, run_slot.key`,
);
/** In the order of their keys, so that two batches never wait for one another. */
export const LOCK_SLOTS = statement(
  "SELECT key, cap, held FROM slot WHERE key = ANY($1::text[]) ORDER BY key FOR NO KEY UPDATE",
);
const ADD_SLOTS = statement(
  `INSERT INTO slot (key, cap) SELECT key, cap FROM unnest($1::text[], $2::int[]) AS added (key, cap) ORDER BY key
   ON CONFLICT (key) DO UPDATE SET cap = excluded.cap`,
);
const SET_CAPS = statement(
  `UPDATE slot SET cap = new.cap FROM unnest($1::text[], $2::int[]) AS new (key, cap) WHERE slot.key = new.key`,
);
const FREE = statement(
  "UPDATE run_slot SET held = false WHERE run_no = ANY($1::bigint[]) AND hold = 'lease' AND held",
);
const FORGET = statement("DELETE FROM run_slot WHERE run_no = ANY($1::bigint[])");
/** What no open run names any more; a run that is being admitted brings its key with it (see the claim). */
const DROP = statement(
  `DELETE FROM slot WHERE key = ANY($1::text[]) AND held = 0
     AND (SELECT true FROM run_slot WHERE run_slot.key = slot.key LIMIT 1) IS NULL`,
);
/** A waiter that somebody hurries at this moment is not waited for: the next one is taken. */
const WAKE = statement(
  `WITH asked AS (
     SELECT asked.key, lane.id AS lane, sum(asked.amount)::int AS amount
     FROM unnest($1::text[], $2::int[], $3::int[]) AS asked (key, lane, amount)
       JOIN (SELECT 0 AS id UNION ALL SELECT id FROM lane) AS lane ON asked.lane IS NULL OR asked.lane = lane.id
     GROUP BY asked.key, lane.id),
   chosen AS MATERIALIZED (
     SELECT waiter.run_no FROM asked CROSS JOIN LATERAL (
       SELECT run_no FROM parked WHERE parked.key = asked.key AND parked.lane = asked.lane
       ORDER BY priority, vt, run_no LIMIT asked.amount FOR UPDATE SKIP LOCKED) AS waiter),
   gone AS (DELETE FROM parked USING chosen WHERE parked.run_no = chosen.run_no RETURNING parked.run_no)
   INSERT INTO ready (lane, priority, vt, run_no, gated)
   SELECT run.lane, run.priority, run.vt, run.no, run.gated FROM gone JOIN run ON run.no = gone.run_no`,
);

const room = (slot: SlotRow | undefined): number =>
  slot === undefined ? 0 : Math.max(0, slot.cap - slot.held);

/** What the events come to, given the slots as they are. */
class Settlement {
  readonly #slots: Map<string, SlotRow>;
  readonly #byRun: Map<RunNo, RunSlot[]>;
  readonly wakes: Wake[] = [];

  constructor(slots: readonly SlotRow[], runSlots: readonly RunSlot[]) {
    this.#slots = new Map(slots.map((slot) => [slot.key, { ...slot }]));
    this.#byRun = Map.groupBy(runSlots, (one) => one.run_no);
  }

  apply(event: SlotEvent): void {
    if (event.kind === "cap") this.#setCap(event.key, event.cap);
    else if (event.kind === "release") this.#release(event.no, event.what);
    else this.#pass(event.no);
  }

  #setCap(key: string, cap: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      this.#slots.set(key, { key, cap, held: 0 });
      return;
    }
    this.#change(slot, () => {
      slot.cap = cap;
    });
  }

  #release(no: RunNo, what: "lease" | "all"): void {
    for (const { key, hold, held } of this.#byRun.get(no) ?? []) {
      const slot = this.#slots.get(key);
      if (!held || slot === undefined || (what === "lease" && hold === "run")) continue;
      this.#change(slot, () => {
        slot.held -= 1;
      });
    }
  }

  #change(slot: SlotRow, change: () => void): void {
    const before = room(slot);
    change();
    const amount = room(slot) - before;
    if (amount > 0) this.wakes.push({ key: slot.key, lane: null, amount });
  }

  #pass(no: RunNo): void {
    for (const { key, held, lane } of this.#byRun.get(no) ?? []) {
      if (!held && room(this.#slots.get(key)) > 0) this.wakes.push({ key, lane, amount: 1 });
    }
  }
}

export const COUNT_WOKEN = statement(
  "UPDATE counter SET ready = ready + $2, parked = parked - $2 WHERE shard = $1",
);

/** Gives slots that are there another limit, and counts whom that woke. */
export async function resizeSlots(
  tx: Tx,
  batch: readonly { readonly key: string; readonly limit: number }[],
  shard: number,
): Promise<{ readonly answer: number; readonly hints: readonly StoreHint[] }> {
  const wanted = new Map(batch.map(({ key, limit }) => [key, limit]));
  // Those that nobody names must not be made: nothing would ever drop them.
  const there = await tx.many<SlotRow>(LOCK_SLOTS, [[...wanted.keys()]]);
  const events = there.flatMap(({ key, cap: before }): SlotEvent[] => {
    const cap = wanted.get(key) ?? before;
    return cap === before ? [] : [{ kind: "cap", key, cap }];
  });
  if (events.length === 0) return { answer: 0, hints: [] };
  tx.identify();
  const woken = await settleSlots(tx, events);
  if (woken > 0) await tx.run(COUNT_WOKEN, [shard, woken]);
  return { answer: events.length, hints: woken > 0 ? [{ kind: "ready" }] : [] };
}

/** Moves waiters to the queue; how many. Their slots are locked. */
export async function wake(tx: Tx, wakes: readonly Wake[]): Promise<number> {
  if (wakes.length === 0) return 0;
  return tx.run(WAKE, [
    wakes.map((one) => one.key),
    wakes.map((one) => one.lane),
    wakes.map((one) => one.amount),
  ]);
}

/** Locks the slots and does what the events say; how many parked runs are ready for that. */
export async function settleSlots(tx: Tx, events: readonly SlotEvent[]): Promise<number> {
  if (events.length === 0) return 0;
  const runs = events.flatMap((event) => (event.kind === "cap" ? [] : [event.no]));
  const caps = new Map(events.flatMap((event) => (event.kind === "cap" ? [[event.key, event.cap]] : [])));
  const ofRuns = runs.length === 0 ? [] : await tx.many<RunSlot>(OF_RUNS, [runs]);
  const keys = [...new Set([...caps.keys(), ...ofRuns.map((one) => one.key)])];
  if (keys.length === 0) return 0;
  const slots = await tx.many<SlotRow>(LOCK_SLOTS, [keys]);
  const settlement = new Settlement(slots, ofRuns);
  for (const event of events) settlement.apply(event);
  const known = new Set(slots.map((slot) => slot.key));
  const added = [...caps].filter(([key]) => !known.has(key));
  const changed = [...caps].filter(([key]) => known.has(key));
  for (const [to, list] of [[ADD_SLOTS, added] as const, [SET_CAPS, changed] as const]) {
    if (list.length > 0) tx.run(to, [list.map(([key]) => key), list.map(([, cap]) => cap)]);
  }
  const given = (what: "lease" | "all") =>
    events.flatMap((event) => (event.kind === "release" && event.what === what ? [event.no] : []));
  const [leases, ended] = [given("lease"), new Set(given("all"))];
  if (leases.length > 0) tx.run(FREE, [leases]);
  if (ended.size > 0) {
    tx.run(FORGET, [[...ended]]);
    tx.run(DROP, [ofRuns.filter((one) => ended.has(one.run_no)).map((one) => one.key)]);
  }
  return wake(tx, settlement.wakes);
}
