import { afterEach, beforeEach, expect, it } from "vitest";
import { GREET, type House, openHouse } from "../../../tests/support/house.suite.ts";
import type { FactBody } from "../../domain/fact.ts";
import { startView } from "../../domain/run-view.ts";
import { ANYBODY } from "../caller.ts";
import { uploadWorkflow } from "../workflows/upload-workflow.ts";
import { runDetail } from "./run-detail.ts";
import { RunViews } from "./run-views.ts";
import { startRun } from "./start-run.ts";

let house: House;
beforeEach(async () => {
  house = await openHouse();
  await uploadWorkflow(house.parts, { source: GREET, file: "greet.yaml" });
});
afterEach(() => house.close());

const noted = (n: number): FactBody => ({
  kind: "effect_recorded",
  step: "speak",
  attempt: 1,
  key: `k${n}`,
  requestHash: "h",
  label: "x",
  ms: 1,
  result: { ok: true, value: null },
});

it("who looks again reads only what is new, and sees what a whole look sees", async () => {
  const started = await startRun(house.parts, { workflow: "greet", inputs: { who: "A" }, caller: ANYBODY });
  if (!started.ok) throw new Error(started.failure.message);
  const { id } = started.value.run;
  const hand = await house.take(id);
  await hand.write([
    { kind: "run_started", worker: "w" },
    { kind: "step_started", step: "speak", attempt: 1, input: null },
    ...Array.from({ length: 500 }, (_, n) => noted(n)),
  ]);
  let read = 0;
  const views = new RunViews();
  const parts = {
    ...house.parts,
    views,
    reader: {
      ...house.parts.reader,
      factsOf: async (...asked: Parameters<typeof house.parts.reader.factsOf>) => {
        const facts = await house.parts.reader.factsOf(...asked);
        read += facts?.length ?? 0;
        return facts;
      },
    },
  };
  const now = house.parts.clock.now();
  const still = { ...parts, clock: { ...parts.clock, now: () => now } };
  const { views: _, ...whole } = still;
  const same = async () => expect(await runDetail(still, id)).toEqual(await runDetail(whole, id));
  await same();
  read = 0;
  await runDetail(still, id);
  expect(read).toBe(0);
  await hand.write([noted(500), noted(501)]);
  read = 0;
  await runDetail(still, id);
  expect(read).toBe(2);
  // Two at the same moment: one has the state, the other folds anew.
  const both = await Promise.all([runDetail(still, id), runDetail(still, id)]);
  expect(both[0]).toEqual(both[1]);
  await hand.complete("done");
  await same();
});

it("few are kept, none that is short or broad, and none for another run of the same name", () => {
  const views = new RunViews();
  const state = (lastSeq: number, steps = 1) => ({
    ...startView(Array.from({ length: steps }, (_, n) => `s${n}`)),
    lastSeq,
    queuedAt: 5,
  });
  const take = (id: string, createdAt = 5) => views.take({ id, createdAt }, () => []).lastSeq;
  views.giveBack("short", state(199));
  views.giveBack("broad", state(900, 201));
  views.giveBack("kept", state(900));
  views.giveBack("kept", state(800));
  expect([take("short"), take("broad"), take("kept"), take("kept")]).toEqual([0, 0, 900, 0]);
  views.giveBack("kept", state(900));
  expect(take("kept", 6)).toBe(0);
  for (let n = 0; n < 33; n += 1) views.giveBack(`run_${n}`, state(300));
  expect([take("run_0"), take("run_1"), take("run_32")]).toEqual([0, 300, 300]);
});
