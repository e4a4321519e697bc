import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { execute, Playground, ROOT } from "./playground.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8").replaceAll("\r\n", "\n");

const [, inReadme = ""] = /As a library:\n+```ts\n(.*?)```/s.exec(read("README.md")) ?? [];

it("the README's library example is examples/library.ts, imported as a package", () => {
  const example = read("examples/library.ts").replace(/^\/\/ .*\n/, "");
  expect(inReadme).toBe(example.replace('from "../src/index.ts"', 'from "agent-runner"'));
});

it("it runs, tells its facts, and prints what the README says", async () => {
  const play = new Playground();
  try {
    const ran = await execute(process.execPath, [join(ROOT, "examples/library.ts")], { cwd: play.root });
    expect(ran.stderr.trim().split("\n")).toEqual([
      "1 run_queued",
      "2 run_started",
      "3 step_started",
      "4 effect_intended",
      "5 effect_recorded",
      "6 step_succeeded",
      "7 run_completed",
    ]);
    const [, promised = "nothing"] = /\.output\); \/\/ (.*)$/m.exec(inReadme) ?? [];
    expect(ran.stdout.trim()).toBe(promised);
    expect(ran.code).toBe(0);
  } finally {
    await play.close();
  }
});
