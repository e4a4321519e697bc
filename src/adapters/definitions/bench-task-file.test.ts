import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseBenchTasks } from "./bench-task-file.ts";
import { packageRoot } from "./library.ts";

const file = (checks: string) =>
  `stage: plan\ntasks:\n  - id: one\n    title: t\n    system: s\n    prompt: p\n    checks:\n${checks}`;

const message = (source: string) => {
  const parsed = parseBenchTasks(source, "t.yaml");
  if (parsed.ok) throw new Error("was accepted");
  expect(parsed.failure.code).toBe("invalid_bench_task");
  return parsed.failure.message;
};

test.each<[string, string, RegExp]>([
  ["broken YAML", "stage: [", /^t\.yaml:1:\d+/],
  ["an unknown stage", "stage: planning\ntasks: []", /^t\.yaml:1:8.*planning.*plan/s],
  ["no tasks", "stage: plan\ntasks: []", /^t\.yaml:2:8/],
  ["a check of nothing", file("      - { weight: 2 }"), /^t\.yaml:8:/],
  ["a check of two things", file("      - { contains: a, lacks: b }"), /^t\.yaml:8:/],
  ["a wrong pattern", file("      - { matches: '(' }"), /^t\.yaml:8:20: .*not a regular expression/],
  [
    "a value asked twice",
    file("      - { value: { at: a, equals: 1, count: 1 } }"),
    /2 things are asked of one value/,
  ],
  ["a value not asked", file("      - { value: { at: a } }"), /0 things are asked.*exactly one of/s],
  [
    "a path outside",
    file("      - passes: { answer: code, file: ../x.mjs, run: t.mjs, files: { t.mjs: x } }"),
    /^t\.yaml:8:/,
  ],
  [
    "a run that is no file",
    file("      - passes: { answer: code, file: x.mjs, run: u.mjs, files: { t.mjs: x } }"),
    /`u\.mjs` is not among the files.*t\.mjs/s,
  ],
  [
    "twins",
    `${file("      - { contains: a }")}\n  - { id: one, title: t, system: s, prompt: p, checks: [{ contains: a }] }`,
    /the id `one` is there twice/,
  ],
  ["too much", `stage: plan # ${"x".repeat(1_100_000)}`, /at most 1048576/],
])("names the place of %s", (_, source, expected) => {
  expect(message(source)).toMatch(expected);
});

test("what comes with agent-runner has three tasks or more for each stage", () => {
  const folder = join(packageRoot(), "examples", "model-tasks");
  const counts = new Map<string, number>();
  const ids = new Set<string>();
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".yaml"))) {
    const parsed = parseBenchTasks(readFileSync(join(folder, name), "utf8"), name);
    if (!parsed.ok) throw new Error(parsed.failure.message);
    for (const task of parsed.value) {
      expect(`${task.stage}.yaml`).toBe(name);
      expect(ids.has(task.id)).toBe(false);
      ids.add(task.id);
      counts.set(task.stage, (counts.get(task.stage) ?? 0) + 1);
    }
  }
  expect([...counts.keys()].toSorted()).toEqual([
    "context",
    "execute",
    "plan",
    "retrieval",
    "review",
    "summarise",
  ]);
  expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(3);
});
