import { describe, expect, it } from "vitest";
import { simulate } from "./simulate.ts";

// SIM_SEEDS=100000 for a night; SIM_SEED=17 for one seed again.
const only = process.env.SIM_SEED;
const seeds = Number(process.env.SIM_SEEDS ?? 1_000);
const first = Number(only ?? process.env.SIM_FIRST ?? 1);

describe("the engine in a simulated world", () => {
  it(`keeps every promise under ${only ? `seed ${only}` : `${seeds} seeds`}`, {
    timeout: 3_600_000,
  }, async () => {
    let crashes = 0;
    let runs = 0;
    for (let seed = first; seed < first + (only ? 1 : seeds); seed += 1) {
      const life = await simulate(seed);
      crashes += life.crashes;
      runs += life.runs;
      expect(
        life.broken,
        `seed ${seed}; again with: SIM_SEED=${seed} npx vitest run tests/simulation`,
      ).toEqual([]);
    }
    if (!only) expect(crashes).toBeGreaterThan(seeds);
    expect(runs).toBeGreaterThan(0);
  });
});
