import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/adapters/store/memory/store.ts";
import type { SpendLedger } from "../../src/contracts/spend-ledger.ts";
import type { SpendOp } from "../../src/domain/spend.ts";
import { SpendQueue } from "../../src/gateway/spend-queue.ts";
import { ManualClock } from "../support/manual-clock.ts";

const subject = { tenant: "", user: "", path: "", model: "p/m", stage: "execute" };
const allowances = [
  { scope: "global", name: "*", window: "total", models: null, hardMicros: 1_000, softMicros: null },
] as const;
const reserve = (id: string): SpendOp => ({
  kind: "reserve",
  id,
  subject,
  allowances,
  micros: 10,
  ceiling: 10,
  accrued: 0,
  unpriced: false,
  holdMs: 60_000,
});
const settle = (id: string): SpendOp => ({
  kind: "settle",
  id,
  subject,
  allowances,
  micros: 10,
  estimated: false,
  unpriced: false,
  tokens: { input: 1, output: 1 },
});

/** A queue whose turn of the loop ends when it is told to. */
function queueOn(ledger: SpendLedger, clock: ManualClock) {
  const batches: string[][] = [];
  const turn: (() => void)[] = [];
  const queue = new SpendQueue({
    ledger: {
      apply: (ops) => {
        batches.push(ops.map(({ kind, id }) => `${kind} ${id}`));
        return ledger.apply(ops);
      },
    },
    clock,
    defer: (run) => void turn.push(run),
    onProblem: (problem) => expect.unreachable(problem),
  });
  const endTurn = () => {
    for (const run of turn.splice(0)) run();
  };
  return { queue, batches, endTurn };
}

test("reservations of one piece of work share a flush, and do not wait for the end of the turn", async () => {
  const clock = new ManualClock();
  const { queue, batches, endTurn } = queueOn(createMemoryStore({ clock }).spend, clock);
  expect(await Promise.all([queue.ask(reserve("a")), queue.ask(reserve("b"))])).toEqual([
    { kind: "granted" },
    { kind: "granted" },
  ]);
  endTurn();
  await queue.flush();
  expect(batches).toEqual([["reserve a", "reserve b"]]);
});

test("an end waits for the others of its turn, unless a reservation takes it along, before itself", async () => {
  const clock = new ManualClock();
  const { queue, batches, endTurn } = queueOn(createMemoryStore({ clock }).spend, clock);
  await queue.ask(reserve("a"));
  await queue.ask(reserve("b"));
  const first = queue.ask(settle("a"));
  const second = queue.ask(settle("b"));
  await setImmediate();
  expect(batches).toHaveLength(2);
  endTurn();
  await Promise.all([first, second]);
  expect(batches.at(-1)).toEqual(["settle a", "settle b"]);
  await queue.ask(reserve("c"));
  await setImmediate();
  const third = queue.ask(settle("c"));
  expect(await queue.ask(reserve("d"))).toEqual({ kind: "granted" });
  await third;
  endTurn();
  await queue.flush();
  expect(batches.slice(3)).toEqual([["reserve c"], ["settle c", "reserve d"]]);
});

test("a reservation that met a flush under way follows it at once", async () => {
  const clock = new ManualClock();
  const { queue, batches } = queueOn(createMemoryStore({ clock }).spend, clock);
  const first = queue.ask(reserve("a"));
  const second = first.then(() => queue.ask(reserve("b")));
  expect(await second).toEqual({ kind: "granted" });
  expect(batches).toEqual([["reserve a"], ["reserve b"]]);
});
