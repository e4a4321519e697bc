import type { RunNo } from "../../../contracts/run-store.ts";
import type { Ledger } from "./ledger.ts";
import type { Tx } from "./session.ts";
import { type SlotEvent, settleSlots } from "./slots.ts";
import { statement } from "./sql.ts";

/** A run that a claim has just taken is not in the queue any more, and is left alone. */
const HURRY_READY = statement(
  `WITH gone AS (DELETE FROM ready WHERE run_no = ANY($1::bigint[]) AND (priority, vt) <> (0, 0) RETURNING run_no, gated),
   first AS (
     INSERT INTO ready (lane, priority, vt, run_no, gated) SELECT 0, 0, 0, run_no, false FROM gone)
   SELECT run_no, gated FROM gone`,
);
const HURRY_PARKED = statement(
  `WITH gone AS (DELETE FROM parked WHERE run_no = ANY($1::bigint[]) RETURNING run_no)
   INSERT INTO ready (lane, priority, vt, run_no, gated) SELECT 0, 0, 0, run_no, false FROM gone`,
);
const UNQUEUE = statement("DELETE FROM ready WHERE run_no = ANY($1::bigint[])");
const UNPARK = statement("DELETE FROM parked WHERE run_no = ANY($1::bigint[])");

/**
 * Moves canceled runs before all others; those that gave up their place in line for slots by that. A claim may put a
 * run aside, and an end wake one, while this waits for it: so both are looked at, and the first again.
 */
async function hurry(tx: Tx, ledger: Ledger): Promise<ReadonlySet<RunNo>> {
  const hurried = [...ledger.runs.values()].filter((run) => run.hurried && run.place.at === "elsewhere");
  if (hurried.length === 0) return new Set();
  const runs = hurried.map((run) => run.no);
  const first = tx.many<{ run_no: RunNo; gated: boolean }>(HURRY_READY, [runs]);
  // Only what names slots can be parked.
  const slotted = hurried.filter((run) => run.gated).map((run) => run.no);
  if (slotted.length === 0) return new Set();
  const parked = tx.run(HURRY_PARKED, [slotted]);
  const again = tx.many<{ run_no: RunNo; gated: boolean }>(HURRY_READY, [slotted]);
  const moved = await parked;
  ledger.count("parked", -moved);
  ledger.count("ready", moved);
  return new Set([...(await first), ...(await again)].filter((row) => row.gated).map((row) => row.run_no));
}

/** Who gave way leaves the queue. */
async function unqueueDropped(tx: Tx, ledger: Ledger): Promise<void> {
  if (ledger.dropped.length === 0) return;
  const runs = ledger.dropped.map((victim) => victim.no);
  const [ready, parked] = await Promise.all([tx.run(UNQUEUE, [runs]), tx.run(UNPARK, [runs])]);
  ledger.count("ready", -ready);
  ledger.count("parked", -parked);
}

/** Places in the queue that are left, and the slots that change hands: those that wait for them become ready. */
export async function flushQueue(tx: Tx, ledger: Ledger): Promise<void> {
  const offered = await hurry(tx, ledger);
  await unqueueDropped(tx, ledger);
  const happens = (event: SlotEvent) => event.kind !== "pass" || event.sure || offered.has(event.no);
  const woken = await settleSlots(tx, ledger.slotEvents.filter(happens));
  if (woken === 0) return;
  ledger.count("ready", woken);
  ledger.count("parked", -woken);
  ledger.hint({ kind: "ready" });
}
