import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BenchReport } from "../src/operations/bench/report.ts";
import { Desk, type Running } from "./support/cli.ts";

const fake = (name: string) =>
  fileURLToPath(new URL(`../examples/model-tasks/fakes/${name}.yaml`, import.meta.url));

// Two stand-ins of known quality, over the wire: the benchmark must tell them apart, and give full marks where they are due.
describe("bench models", () => {
  const desk = new Desk();
  let server: Running;
  let env: Record<string, string>;
  beforeAll(async () => {
    server = desk.start(["fake-models", "--script", fake("careful"), "--script", fake("hasty")]);
    const url = /http:[^;\s]+/.exec(await server.says(/http:\S+/))?.[0] ?? "";
    env = { OPENAI_BASE_URL: `${url}/v1` };
  });
  afterAll(() => desk.close());
  const bench = (...args: readonly string[]) => desk.run(["bench", "models", ...args], { env });

  it("finds the better model for every stage, by tasks that are tried out", async () => {
    const [json, markdown] = [join(desk.root, "r.json"), join(desk.root, "r.md")];
    const models = "openai/hasty,openai/careful";
    const { code, stdout, stderr } = await bench("--models", models, "--out", json, "--out", markdown);
    expect(code).toBe(0);
    expect(stderr).toContain("18 tasks, 2 models: 36 calls");
    expect(stdout).toBe(readFileSync(markdown, "utf8"));
    const report = JSON.parse(readFileSync(json, "utf8")) as BenchReport;
    const missed = report.calls.filter((call) => call.model === "openai/careful" && call.score < 1);
    expect(missed).toEqual([]);
    expect(report.best.map(({ stage, model }) => `${stage} ${model}`)).toEqual(
      ["context", "retrieval", "plan", "execute", "review", "summarise"].map(
        (stage) => `${stage} openai/careful`,
      ),
    );
    const hasty = report.rows.filter((row) => row.model === "openai/hasty");
    expect(hasty.every((row) => row.quality > 0 && row.quality < 1)).toBe(true);
    // It answers in words where JSON was asked for: a failure that is shown, with what its attempts cost.
    expect(report.calls.filter((call) => call.failure !== null).map((call) => call.failure?.code)).toEqual([
      "model_bad_reply",
    ]);
    expect(stdout).toContain("EXECUTION_MODEL=openai/careful");
    expect(stdout).toMatch(/openai\/hasty: execute-diff: applies and passes its tests \(does not apply/);
  });

  it("takes stages, models of the settings and tasks of one's own", async () => {
    const tasks = desk.file(
      "mine/plan.yaml",
      "stage: plan\ntasks: [{ id: mine, title: Mine, system: s, prompt: How long are uploaded files kept, checks: [{ contains: '3' }] }]\n",
    );
    const more = { env: { ...env, AGENT_RUNNER_MODEL: "openai/careful" } };
    const args = ["bench", "models", "--tasks", join(tasks, ".."), "--repeat", "2"];
    const report = await desk.json<BenchReport>(args, 0, more);
    expect(report.calls.map((call) => `${call.round} ${call.task} ${call.score}`)).toEqual([
      "1 mine 1",
      "2 mine 1",
    ]);
    const some = await desk.json<BenchReport>(["bench", "models", "--stages", "retrieval"], 0, more);
    expect(new Set(some.calls.map((call) => call.stage))).toEqual(new Set(["retrieval"]));
  });

  it("keeps to what it may cost, and says what it did not ask", async () => {
    const { code, stdout } = await bench(
      "--models",
      "openai/careful",
      "--max-cost",
      "0.01",
      "--stages",
      "plan",
    );
    expect(code).toBe(1);
    expect(stdout).toContain(
      "- openai/careful: 3 calls, its price is unknown, so --max-cost could not be kept",
    );
  });

  it("says what is wrong with what it was told", async () => {
    const told = async (...args: readonly string[]) => (await bench(...args)).stderr;
    expect(await told()).toContain("no models to compare: name some with --models");
    expect(await told("--models", "nobody/x")).toMatch(/nobody/);
    expect(await told("--models", "openai/careful", "--stages", "planning")).toContain(
      '"planning" is no stage',
    );
    expect(await told("--models", "openai/careful", "--max-cost", "much")).toContain("US dollars");
    expect(await told("--models", "openai/careful", "--out", "report.txt")).toContain(
      "ends with .md or .json",
    );
    expect(await told("--models", "openai/careful", "--tasks", join(desk.root, "nowhere"))).toContain(
      "cannot be read",
    );
  });
});
