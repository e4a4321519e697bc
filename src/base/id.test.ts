import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "./id.ts";

/** Ten characters of time last until the year 37648. */
const millisecond = fc.integer({ min: 0, max: 32 ** 10 - 1 });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("newId", () => {
  it("is the prefix, ten characters of time and ten of chance", () => {
    expect(newId("run", 0, () => 0)).toBe("run_00000000000000000000");
    expect(newId("apr", 32, () => 31 / 32)).toBe("apr_0000000010zzzzzzzzzz");
    fc.assert(
      fc.property(millisecond, chance, (ms, drawn) =>
        /^x_[0-9a-hjkmnp-tv-z]{20}$/.test(newId("x", ms, () => drawn)),
      ),
    );
  });

  it("sorts as text in the order of time, whatever chance says", () => {
    fc.assert(
      fc.property(millisecond, millisecond, chance, chance, (a, b, one, other) => {
        fc.pre(a < b);
        return newId("run", a, () => one) < newId("run", b, () => other);
      }),
    );
  });

  it("tells ids of the same millisecond apart by their draws", () => {
    fc.assert(
      fc.property(fc.nat(9), (at) => {
        let draw = -1;
        const one = newId("run", 5, () => 0);
        const other = newId("run", 5, () => {
          draw += 1;
          return draw === at ? 0.5 : 0;
        });
        return one !== other && draw === 9;
      }),
    );
  });
});
