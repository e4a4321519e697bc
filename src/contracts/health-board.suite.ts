import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../base/clock.ts";
import { LIMITS } from "../domain/limits.ts";
import { type SharedHealth, unknownHealth } from "../domain/shared-health.ts";
import type { HealthBoard } from "./health-board.ts";
import { type ManualClock, manualClock, START } from "./run-store-suite/fixtures.suite.ts";

/** Two processes on one database, under one clock. */
export interface BoardMaker {
  readonly name: string;
  open(
    clock: Clock,
  ): Promise<{ readonly here: HealthBoard; readonly there: HealthBoard; close(): Promise<void> }>;
}

const LEASE_MS = 1_000;
const WEEK_MS = 7 * 86_400_000;

const row = (model: string, over: Partial<SharedHealth> = {}): SharedHealth => ({
  ...unknownHealth(model, "key1"),
  by: "wrk_a",
  ...over,
});

export function healthBoardSuite(maker: BoardMaker): void {
  describe(`health of models (${maker.name})`, () => {
    let clock: ManualClock;
    let under: Awaited<ReturnType<BoardMaker["open"]>>;
    beforeEach(async () => {
      clock = manualClock();
      under = await maker.open(clock);
    });
    afterEach(() => under.close());

    it("what one process writes the other reads, each value as it was", async () => {
      const full = row("anthropic/größe:1", {
        phase: 7,
        openUntil: START + 5_000,
        openings: 3,
        quarantined: true,
        probeBy: "wrk_b",
        probeUntil: START + 100,
        limitedUntil: START + 900,
        ttftMs: 420,
        ttftAt: START - 5,
      });
      expect(await under.there.read()).toEqual([]);
      const [written] = await under.here.swap([full]);
      expect(written).toEqual({ ...full, version: 1, at: START });
      expect(await under.there.read()).toEqual([written]);
    });

    it("a change of what has changed meanwhile is refused, and its neighbours are not", async () => {
      const [a, b] = await under.here.swap([row("p/a"), row("p/b")]);
      if (!a || !b) throw new Error("not written");
      clock.advance(10);
      const [theirs] = await under.there.swap([{ ...a, openings: 1 }]);
      expect(theirs).toMatchObject({ version: 2, openings: 1, at: START + 10 });
      const answers = await under.here.swap([
        { ...a, openings: 9 },
        { ...b, openings: 2 },
      ]);
      expect(answers[0]).toBeNull();
      expect(answers[1]).toMatchObject({ model: "p/b", version: 2, openings: 2 });
      const now = await under.here.read();
      expect(now.find(({ model }) => model === "p/a")).toEqual(theirs);
    });

    it("a row that two write first is one's, and the same model of another account is another row", async () => {
      const [mine] = await under.here.swap([row("p/a", { openings: 1 })]);
      expect(await under.there.swap([row("p/a", { openings: 2 })])).toEqual([null]);
      const [other] = await under.there.swap([{ ...row("p/a", { openings: 3 }), account: "key2" }]);
      expect(other).toMatchObject({ version: 1, account: "key2" });
      expect(new Set(await under.here.read())).toEqual(new Set([mine, other]));
      expect(await under.here.swap([])).toEqual([]);
    });

    it("the lease of a probe is one process's, and another's only when it is over", async () => {
      await under.here.swap([row("p/a", { phase: 1, openUntil: START + 500 })]);
      const ask = { model: "p/a", account: "key1", phase: 1, ms: LEASE_MS };
      expect(await under.here.lease({ ...ask, by: "wrk_a" })).toBeNull();
      clock.advance(500);
      const answers = await Promise.all([
        under.here.lease({ ...ask, by: "wrk_a" }),
        under.there.lease({ ...ask, by: "wrk_b" }),
      ]);
      const [held] = answers.filter((one) => one !== null);
      expect(answers.filter((one) => one !== null)).toHaveLength(1);
      expect(held).toMatchObject({
        version: 2,
        phase: 1,
        probeUntil: START + 500 + LEASE_MS,
        at: START + 500,
      });
      const loser = held?.probeBy === "wrk_a" ? "wrk_b" : "wrk_a";
      clock.advance(LEASE_MS - 1);
      expect(await under.there.lease({ ...ask, by: loser })).toBeNull();
      clock.advance(1);
      expect(await under.there.lease({ ...ask, by: loser })).toMatchObject({ probeBy: loser, version: 3 });
    });

    it("whoever holds the lease may take it anew", async () => {
      await under.here.swap([row("p/a", { phase: 1, openUntil: START })]);
      const ask = { model: "p/a", account: "key1", phase: 1, ms: LEASE_MS, by: "wrk_a" };
      expect(await under.here.lease(ask)).toMatchObject({ probeUntil: START + LEASE_MS });
      clock.advance(400);
      expect(await under.here.lease(ask)).toMatchObject({ probeUntil: START + 400 + LEASE_MS });
    });

    it("there is no lease of another phase, another account, a closed breaker or an unknown model", async () => {
      await under.here.swap([
        row("p/open", { phase: 2, openUntil: START }),
        row("p/closed", { phase: 2, openUntil: null }),
      ]);
      const ask = { account: "key1", phase: 2, by: "wrk_a", ms: LEASE_MS };
      expect(await under.here.lease({ ...ask, model: "p/open", phase: 1 })).toBeNull();
      expect(await under.here.lease({ ...ask, model: "p/open", account: "key2" })).toBeNull();
      expect(await under.here.lease({ ...ask, model: "p/closed" })).toBeNull();
      expect(await under.here.lease({ ...ask, model: "p/none" })).toBeNull();
      expect(await under.here.lease({ ...ask, model: "p/open" })).toMatchObject({ probeBy: "wrk_a" });
    });

    it("reads what was changed last, up to a limit, and forgets what nobody changes", async () => {
      const many = Array.from({ length: LIMITS.sharedModels }, (_, n) => row(`p/${n}`));
      await under.here.swap(many);
      clock.advance(1);
      await under.here.swap([row("p/newest")]);
      const read = await under.there.read();
      expect(read).toHaveLength(LIMITS.sharedModels);
      expect(read[0]?.model).toBe("p/newest");
      clock.advance(WEEK_MS + 1);
      await under.here.swap([row("p/today")]);
      expect((await under.there.read()).map(({ model }) => model)).toEqual(["p/today"]);
    });
  });
}
