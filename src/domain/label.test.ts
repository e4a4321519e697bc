import { expect, test } from "vitest";
import { isLabel } from "./label.ts";
import { LIMITS } from "./limits.ts";

test.each(["gpu", "os=linux", "tool=node", "host=build-1.example", "zone=eu/1", "A_b=c@2"])(
  "%j is one",
  (text) => {
    expect(isLabel(text)).toBe(true);
  },
);

test.each(["", "=x", "os=", "two words", "a,b", "-x", "a=b=c", "x".repeat(LIMITS.labelChars + 1)])(
  "%j is none",
  (text) => {
    expect(isLabel(text)).toBe(false);
  },
);
