import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Workflow } from "../../src/domain/workflow.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ChaosHouse } from "./house.ts";
import { SHAPES } from "./shapes.ts";

// CHAOS_DATABASE=postgres for all of it on PostgreSQL too, where it is a sample otherwise and postgres.test.ts does more.
const allOnPostgres = process.env.CHAOS_DATABASE === "postgres";

interface Kind {
  readonly kind: "SQLite" | "PostgreSQL";
  readonly shapes: readonly Workflow[];
  readonly mostBoundaries: number;
  readonly randomKills: number;
  /** Of all kills; a sample is what it is. */
  readonly leastKills: number;
  /** Processes that work at the same time. */
  readonly processes: number;
}

const shapes = SHAPES.filter(({ name }) => name !== "leaf");
const everything = { shapes, mostBoundaries: 40, randomKills: 110, leastKills: 200 };
const sample = {
  shapes: shapes.filter(({ name }) => name === "child"),
  mostBoundaries: 2,
  randomKills: 5,
  leastKills: 8,
};
const KINDS: readonly Kind[] = [
  { kind: "SQLite", processes: 1, ...everything },
  { kind: "PostgreSQL", processes: 3, ...(allOnPostgres ? everything : sample) },
];

/** Resolves after a moment of the seed's choosing: the instant of a kill, not a wait for anything. */
function instant(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe.each(KINDS)("kill -9 on $kind", { timeout: 900_000 }, (of) => {
  let house: ChaosHouse;
  let kills = 0;
  let server: TestPostgres | null = null;
  const newHouse = async () => new ChaosHouse((await server?.database()) ?? null);
  beforeAll(async () => {
    if (of.kind === "PostgreSQL") server = await startPostgres({ fast: false });
  });
  afterEach(() => house.close());
  afterAll(() => server?.stop());

  async function spawnAll(): Promise<ChildProcess[]> {
    return Promise.all(Array.from({ length: of.processes }, () => house.spawn()));
  }

  async function expectNothingLost(survivors: readonly ChildProcess[]): Promise<void> {
    expect(await house.untilEnded(120_000)).toEqual([]);
    for (const survivor of survivors) await house.stop(survivor);
    expect(await house.disagreements()).toEqual([]);
    kills += house.kills;
  }

  it.each(of.shapes)(
    "at every commit boundary of a $name run: nothing lost, nothing repeated",
    async (shape) => {
      house = await newHouse();
      await house.open();
      for (let boundary = 1; boundary <= of.mostBoundaries; boundary += 1) {
        let reached = false;
        for (const side of ["before", "after"]) {
          await house.admit(shape);
          const child = await house.spawn({ crashAt: `${side}:${boundary}` });
          if ((await house.untilEnded(20_000, child)).length > 0) {
            reached = true;
            await house.kill(child);
          } else await house.stop(child);
        }
        if (!reached) break;
      }
      await expectNothingLost(await spawnAll());
      expect(house.kills).toBeGreaterThan(2);
    },
  );

  it("at random instants over all shapes at once: nothing lost, nothing repeated", async () => {
    house = await newHouse();
    await house.open();
    const alive = await spawnAll();
    while (house.kills < of.randomKills) {
      for (const shape of SHAPES) await house.admit(shape);
      await house.people(await house.openRuns());
      await instant(Math.random() * 60);
      const victim = alive.splice(Math.floor(Math.random() * alive.length), 1);
      for (const child of victim) await house.kill(child);
      alive.push(await house.spawn());
    }
    await expectNothingLost(alive);
    expect(kills, "kills in all").toBeGreaterThanOrEqual(of.leastKills);
  });
});
