import { afterEach, describe, expect, it } from "vitest";
import { ChaosHouse } from "./house.ts";
import { SHAPES } from "./shapes.ts";

const RANDOM_KILLS = 110;
const MAX_BOUNDARIES = 40;

/** Resolves after a moment of the seed's choosing: the instant of a kill, not a wait for anything. */
function instant(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe("kill -9", { timeout: 900_000 }, () => {
  let house: ChaosHouse;
  let kills = 0;
  afterEach(() => house.close());

  for (const shape of SHAPES.filter(({ name }) => name !== "leaf")) {
    it(`at every commit boundary of a ${shape.name} run: nothing lost, nothing repeated`, async () => {
      house = new ChaosHouse(null);
      await house.open();
      for (let boundary = 1; boundary <= MAX_BOUNDARIES; boundary += 1) {
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
        const survivor = await house.spawn();
        expect(await house.untilEnded(20_000)).toEqual([]);
        await house.stop(survivor);
      }
      expect(await house.disagreements()).toEqual([]);
      expect(house.kills).toBeGreaterThan(2);
      kills += house.kills;
    });
  }

  it("at random instants over all shapes at once: nothing lost, nothing repeated", async () => {
    house = new ChaosHouse(null);
    await house.open();
    while (house.kills < RANDOM_KILLS) {
      for (const shape of SHAPES) await house.admit(shape);
      const child = await house.spawn();
      await house.people(await house.openRuns());
      await instant(Math.random() * 60);
      await house.kill(child);
    }
    const survivor = await house.spawn();
    expect(await house.untilEnded(120_000)).toEqual([]);
    await house.stop(survivor);
    expect(await house.disagreements()).toEqual([]);
    kills += house.kills;
    expect(kills, "kills in all").toBeGreaterThanOrEqual(200);
  });
});
