import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

describe("parseDuration", () => {
  it.each<[string, number | null]>([
    ["250ms", 250],
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["2d", 172_800_000],
    [" 3s ", 3_000],
    ["0s", 0],
    ["1.0005s", 1_001],
    ["", null],
    ["   ", null],
    ["7", null],
    ["s", null],
    ["-1s", null],
    ["1 s", null],
    ["1h 30m", null],
    ["1h30", null],
    ["1.s", null],
    ["1w", null],
    ["1hx", null],
  ])("%j is %j", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it("adds up its parts, in any order and number", () => {
    const part = fc.tuple(
      fc.nat(999),
      fc.constantFrom(["ms", 1], ["s", 1_000], ["m", 60_000], ["h", 3_600_000], ["d", 86_400_000]),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = parts.map(([amount, [unit]]) => `${amount}${unit}`).join("");
        expect(parseDuration(text)).toBe(
          parts.reduce((sum, [amount, [, ms]]) => sum + amount * Number(ms), 0),
        );
      }),
    );
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0ms"],
    [12, "12ms"],
    [999, "999ms"],
    [999.6, "1.0s"],
    [3_449, "3.4s"],
    [59_949, "59.9s"],
    [59_950, "1m00s"],
    [125_000, "2m05s"],
    [3_599_499, "59m59s"],
    [3_599_500, "1h00m"],
    [3_780_000, "1h03m"],
    [90_000_000, "25h00m"],
  ])("%d ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it("reads back as the same time, to half of the last unit that it shows", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000_000), (ms) => {
        const text = formatDuration(ms);
        const unit = text.endsWith("ms") ? 1 : text.includes("h") ? 60_000 : text.includes("m") ? 1_000 : 100;
        expect(Math.abs((parseDuration(text) ?? Number.NaN) - ms)).toBeLessThanOrEqual(unit / 2);
      }),
    );
  });

  it("never says that more time is less", () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), fc.nat(10_000_000), (a, b) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        expect(parseDuration(formatDuration(less))).toBeLessThanOrEqual(
          parseDuration(formatDuration(more)) ?? Number.NaN,
        );
      }),
    );
  });
});
