import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addUsage, NO_USAGE, totalTokens } from "./message.ts";

const count = fc.nat(1_000_000);
const usage = fc.record({
  input: count,
  cacheRead: count,
  cacheWrite: count,
  output: count,
  reasoning: count,
});

describe("usage", () => {
  it("adds up like numbers: in any order, with nothing as zero, the total of a sum being the sum of totals", () => {
    fc.assert(
      fc.property(usage, usage, usage, (a, b, c) => {
        expect(addUsage(a, b)).toEqual(addUsage(b, a));
        expect(addUsage(addUsage(a, b), c)).toEqual(addUsage(a, addUsage(b, c)));
        expect(addUsage(a, NO_USAGE)).toEqual(a);
        expect(totalTokens(addUsage(a, b))).toBe(totalTokens(a) + totalTokens(b));
      }),
    );
  });

  it("counts every bucket once", () => {
    expect(totalTokens({ input: 1, cacheRead: 20, cacheWrite: 300, output: 4_000, reasoning: 50_000 })).toBe(
      54_321,
    );
  });
});
