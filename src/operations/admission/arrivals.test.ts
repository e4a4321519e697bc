import { expect, it } from "vitest";
import { Arrivals } from "./arrivals.ts";

it("counts a window of seconds, by priority, and forgets", () => {
  const arrivals = new Arrivals();
  for (let n = 0; n < 10; n += 1) arrivals.add(0, 1_000 + n * 500);
  arrivals.add(5, 5_900);
  expect(arrivals.perSecond(6_000)).toEqual([
    { priority: 0, perSecond: 2 },
    { priority: 5, perSecond: 0.2 },
  ]);
  expect(arrivals.perSecond(60_000)).toEqual([]);
  arrivals.add(0, 1_000);
  expect(arrivals.perSecond(1_000)).toEqual([{ priority: 0, perSecond: 3 }]);
});
