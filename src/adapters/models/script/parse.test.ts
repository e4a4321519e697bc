import fc from "fast-check";
import { expect, test } from "vitest";
import { parseScript } from "./parse.ts";

const message = (yaml: string) => {
  const result = parseScript(yaml, "demo.yaml");
  if (result.ok) throw new Error("was accepted");
  expect(result.failure.code).toBe("invalid_script");
  return result.failure.message;
};

test.each<[string, string, RegExp]>([
  ["broken YAML", "name: demo\nturns: [", /^demo\.yaml:2:\d+: /],
  ["a duplicate key", "name: a\nname: b\nturns: [{ text: x }]", /^demo\.yaml:2:1: .*unique/i],
  ["no turns", "name: demo", /^demo\.yaml:1:1: needs `turns` or `agents`/],
  ["an empty turn", "name: demo\nturns:\n  - times: 2\n", /^demo\.yaml:3:5: `turns\.0` needs a `text`/],
  [
    "a wrong field",
    "name: demo\nturns:\n  - txt: hi\n    text: x",
    /^demo\.yaml:3:5: `turns\.0` Unrecognized key: "txt"/,
  ],
  [
    "a wrong type",
    "name: demo\nturns:\n  - text: x\n    delay_ms: soon",
    /^demo\.yaml:4:15: `turns\.0\.delay_ms` /,
  ],
  ["a wrong fault", "name: demo\nturns:\n  - fault: explode", /^demo\.yaml:3:12: `turns\.0\.fault` /],
  [
    "a wrong pattern",
    "name: demo\nturns:\n  - when: { system_matches: '(' }\n    text: x",
    /^demo\.yaml:3:29: .*is not a regular expression/,
  ],
  [
    "a wrong turn of an agent",
    "name: d\nagents:\n  plan:\n    - text: 5",
    /^demo\.yaml:4:13: `agents\.plan\.0\.text` /,
  ],
  ["a bad name", "name: my demo\nturns: [{ text: x }]", /^demo\.yaml:1:7: `name` may hold letters/],
  ["nothing", "", /^demo\.yaml:1:1: /],
  ["a list", "- a", /^demo\.yaml:1:1: /],
])("names the place of %s", (_, yaml, expected) => {
  expect(message(yaml)).toMatch(expected);
});

test("refuses what is too large, and aliases without end", () => {
  expect(message(`name: demo # ${"x".repeat(1_100_000)}`)).toContain("larger than 1048576 bytes");
  const bomb = ["name: demo", "a: &a [x, x, x, x, x, x, x, x, x, x]"];
  for (const [from, to] of ["ab", "bc", "cd", "de"].map((pair) => [pair[0], pair[1]])) {
    bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(", ")}]`);
  }
  expect(message(bomb.join("\n"))).toMatch(/alias/i);
});

test("never throws, whatever it is given", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (source) => {
      const result = parseScript(source, "f");
      return result.ok || /^f:\d+:\d+: /.test(result.failure.message);
    }),
  );
});
