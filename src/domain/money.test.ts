import { describe, expect, it } from "vitest";
import { addMicros, formatUsd, MAX_MICROS, parseUsd } from "./money.ts";

describe("money", () => {
  it.each([
    ["$2", 2_000_000],
    ["2.50", 2_500_000],
    [" $ 0.000001 ", 1],
    ["3 USD", 3_000_000],
    [2, 2_000_000],
    [0.25, 250_000],
    [0, 0],
    ["1000000000", MAX_MICROS],
  ])("reads %j", (written, micros) => {
    expect(parseUsd(written)).toBe(micros);
  });

  it.each(["", "-1", "$", "2.1234567", "two", "2 EUR", "1e3", "1000000001", Number.NaN, -0.5, 1e-7])(
    "refuses %j",
    (written) => {
      expect(parseUsd(written)).toBeNull();
    },
  );

  it.each([
    [2_000_000, "$2.00"],
    [2_500_000, "$2.50"],
    [1, "$0.000001"],
    [4_200, "$0.0042"],
    [-1_000_000, "-$1.00"],
    [0, "$0.00"],
  ])("shows %d as %s", (micros, text) => {
    expect(formatUsd(micros)).toBe(text);
  });

  it("adds exactly, and stays at the largest exact integer", () => {
    expect(addMicros(1, 2)).toBe(3);
    expect(addMicros(Number.MAX_SAFE_INTEGER, 5)).toBe(Number.MAX_SAFE_INTEGER);
  });
});
