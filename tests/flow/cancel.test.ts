import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunSummary } from "../../src/domain/run.ts";
import type { Runner } from "../../src/index.ts";
import { findRun } from "../../src/operations/runs/find-run.ts";
import { listRuns } from "../../src/operations/runs/list-runs.ts";
import { pauseRun } from "../../src/operations/runs/pause-run.ts";
import { resumeRun } from "../../src/operations/runs/resume-run.ts";
import { until } from "../support/until.ts";
import { ASKED_BY, ended, factsOf, git, idle, Playground, run } from "./playground.ts";

const HOLD = fileURLToPath(new URL("fixtures/hold.mjs", import.meta.url));

/** Whether a process still does anything. The dead whom nobody has buried yet do not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== "linux") return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** A command line that holds on, and what tells its two processes. */
function hold(play: Playground, name: string) {
  const file = play.path(`${name}.json`);
  const line = [process.execPath, HOLD, file].map((part) => `"${part}"`).join(" ");
  const pids = () =>
    until(`${name} runs`, () =>
      existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as readonly [number, number]) : null,
    );
  return { line, pids };
}

async function summaryOf(runner: Runner, id: string): Promise<RunSummary> {
  const found = await findRun(runner.house.operations, id);
  if (!found.ok) throw new Error(found.failure.message);
  return found.value;
}

/** Until the run rests on something whose name begins so. */
function waitsFor(runner: Runner, id: string, what: string): Promise<RunSummary> {
  return until(`${id} waits for ${what}`, async () => {
    const summary = await summaryOf(runner, id);
    return summary.waitingFor.some((one) => one.startsWith(what)) ? summary : null;
  });
}

const from = "flow";

describe("a run that is told something while it runs", () => {
  const play = new Playground();
  let runner: Runner;
  beforeAll(async () => {
    const words = hold(play, "agent");
    runner = await play.runner({
      words: { turns: [{ tool_calls: [{ name: "bash", input: { command: words.line } }] }] },
    });
  });
  afterAll(() => play.close());

  async function journal(id: string) {
    return (await runner.house.operations.reader.factsOf(id, { after: 0, limit: 1_000 })) ?? [];
  }

  async function workflow(name: string, body: string): Promise<string> {
    await runner.addWorkflow(`name: ${name}\nversion: "1"\ndescription: For a test.\n${body}`);
    return name;
  }

  it("cancel ends the command of an agent and what that started, and nothing comes after", async () => {
    const repo = await play.repository("repo", { "README.md": "# hello\n" });
    const { id } = await runner.start("code-change", { repo, task: "Hold on" });
    const pids = await hold(play, "agent").pids();
    expect(pids.map(isAlive)).toEqual([true, true]);
    await runner.cancel(id, "it takes too long");
    const done = await ended(runner, id);
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect(done.summary).toMatchObject({
      status: "canceled",
      failure: { code: "canceled", message: "it takes too long" },
    });
    expect(done.facts.at(-1)).toMatchObject({ kind: "run_canceled", reason: "it takes too long" });
    expect(factsOf(done.facts, "cancel_requested")).toMatchObject([{ by: ASKED_BY }]);
    expect(factsOf(done.facts, "step_canceled").map(({ step }) => step)).toContain("change");
    expect(factsOf(done.facts, "step_succeeded").map(({ step }) => step)).toEqual(["workspace"]);
    expect(await git(repo, "log", "--all", "--format=%s")).toBe("A beginning");
    await expect(runner.signal(id, "too-late")).rejects.toMatchObject({ failure: { code: "run_ended" } });
    // The worker is idle: what it would still write, it has written.
    await idle(runner);
    expect(await Array.fromAsync(runner.facts(id))).toEqual(done.facts);
    await expect(runner.cancel(id)).resolves.toBeUndefined();
    expect(await Array.fromAsync(runner.facts(id))).toEqual(done.facts);
  });

  it("a step's timeout ends its command and what that started", async () => {
    const held = hold(play, "timeout");
    const name = await workflow(
      "too-slow",
      `steps:\n  - id: hold\n    uses: shell\n    timeout: 1500ms\n    with: { run: ${JSON.stringify(held.line)} }\n`,
    );
    const { id } = await runner.start(name, {});
    const pids = await held.pids();
    const done = await ended(runner, id);
    expect(done.summary).toMatchObject({ status: "failed", failure: { code: "step_timeout" } });
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it("pause lets nothing begin, resume goes on", async () => {
    const name = await workflow(
      "two-steps",
      `steps:
  - { id: first, uses: wait, with: { signal: go } }
  - { id: second, uses: noop, needs: first, with: { said: "\${{ steps.first.outputs.body }}" } }
`,
    );
    const { id } = await runner.start(name, {});
    await waitsFor(runner, id, "signal:go");
    await pauseRun(runner.house.operations, { run: id, from });
    const paused = await until("paused", async () => {
      const summary = await summaryOf(runner, id);
      return summary.paused ? summary : null;
    });
    expect(paused.status).toBe("running");
    await runner.signal(id, "go", "now");
    // The signal is in the journal, the run is at rest again, and the step that waited for it did not go on.
    await until("the signal is there", async () =>
      (await journal(id)).some(({ kind }) => kind === "signal_received") ? true : null,
    );
    await idle(runner);
    const kinds = (await journal(id)).map(({ kind }) => kind);
    expect(kinds).not.toContain("step_succeeded");
    expect((await summaryOf(runner, id)).status).toBe("running");
    await resumeRun(runner.house.operations, { run: id, from });
    const done = await ended(runner, id);
    expect(done.summary.status).toBe("completed");
    expect(factsOf(done.facts, "step_started", "second")[0]?.input).toEqual({ said: "now" });
    expect(done.facts.map(({ kind }) => kind).filter((kind) => /pause/.test(kind))).toEqual([
      "run_paused",
      "run_unpaused",
    ]);
  });

  it("a canceled parent cancels its child, and both say so", async () => {
    const held = hold(play, "child");
    const child = await workflow(
      "child",
      `steps:\n  - id: hold\n    uses: shell\n    with: { run: ${JSON.stringify(held.line)} }\n`,
    );
    const parent = await workflow(
      "parent",
      `steps:\n  - id: hand_over\n    uses: workflow\n    with: { name: ${child} }\n`,
    );
    const { id } = await runner.start(parent, {});
    const pids = await held.pids();
    await runner.cancel(id, "no longer wanted");
    const done = await ended(runner, id);
    expect(done.summary.status).toBe("canceled");
    const [started] = factsOf(done.facts, "child_started");
    const childDone = await ended(runner, started?.run ?? "");
    expect(childDone.summary).toMatchObject({ status: "canceled", parent: { run: id, step: "hand_over" } });
    expect(factsOf(childDone.facts, "cancel_requested")).toMatchObject([{ by: `run:${id}` }]);
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it("a failed child fails the step that waits for it, with its reason", async () => {
    const child = await workflow(
      "bad-child",
      "steps:\n  - { id: no, uses: fail, with: { message: the till is empty } }\n",
    );
    const parent = await workflow(
      "hopeful",
      `steps:\n  - id: hand_over\n    uses: workflow\n    with: { name: ${child} }\n`,
    );
    const done = await run(runner, parent, {});
    expect(done.summary).toMatchObject({ status: "failed", failure: { code: "child_failed" } });
    expect(done.summary.failure?.message).toContain("the till is empty");
  });

  it("two runs talk to each other, and both journals show it", async () => {
    const waiter = await workflow(
      "waiter",
      `steps:
  - { id: hear, uses: wait, with: { signal: order, for: 1m } }
  - id: serve
    uses: send
    needs: hear
    with: { to: "\${{ steps.hear.outputs.body.table }}", name: dish, body: { dish: "\${{ steps.hear.outputs.body.dish }}" } }
outputs:
  from: \${{ steps.hear.outputs.from }}
`,
    );
    const guest = await workflow(
      "guest",
      `inputs:
  waiter: { type: string, required: true }
steps:
  - id: ask
    uses: send
    with: { to: "\${{ inputs.waiter }}", name: order, body: { dish: soup, table: "\${{ run.id }}" } }
  - { id: eat, uses: wait, needs: ask, with: { signal: dish, for: 1m } }
outputs:
  dish: \${{ steps.eat.outputs.body.dish }}
`,
    );
    const serving = await runner.start(waiter, {});
    const eating = await run(runner, guest, { waiter: serving.id });
    const served = await ended(runner, serving.id);
    expect(eating.summary.output).toEqual({ dish: "soup" });
    expect(served.summary.output).toEqual({ from: `run:${eating.summary.id}` });
    expect(factsOf(served.facts, "message_sent")).toMatchObject([{ to: eating.summary.id, name: "dish" }]);
    expect(factsOf(eating.facts, "signal_received")).toMatchObject([
      { name: "dish", from: `run:${serving.id}`, body: { dish: "soup" } },
    ]);
  });

  it("a message to a run that is not there is an error, not silence", async () => {
    const name = await workflow(
      "lost",
      "steps:\n  - { id: call, uses: send, with: { to: run_nobody, name: hello } }\n",
    );
    const done = await run(runner, name, {});
    expect(done.summary.failure?.code).toBe("not_found");
    await expect(runner.signal("run_nobody", "hello")).rejects.toMatchObject({
      failure: { code: "not_found" },
    });
  });

  it("a signal that comes before the wait is kept for it", async () => {
    const name = await workflow(
      "patient",
      `steps:
  - { id: first, uses: wait, with: { signal: first } }
  - { id: second, uses: wait, needs: first, with: { signal: second } }
outputs:
  both: \${{ [steps.first.outputs.body, steps.second.outputs.body] }}
`,
    );
    const { id } = await runner.start(name, {});
    await runner.signal(id, "second", 2);
    await runner.signal(id, "first", 1);
    expect((await ended(runner, id)).summary.output).toEqual({ both: [1, 2] });
  });

  it("all of it leaves nothing unfinished behind", async () => {
    await idle(runner);
    const left = await listRuns(runner.house.operations, { filter: { status: ["queued", "running"] } });
    expect(left.ok && left.value.runs).toEqual([]);
  });
});
