import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { compileSchema } from "../../adapters/definitions/json-schema.ts";
import { authorizeByRisk } from "../authorize.ts";
import { output, use, worldOf } from "./actions.suite.ts";
import { defineAction } from "./define-action.ts";
import { act, contextOver, Journal, Rests, RUN } from "./harness.suite.ts";
import { createActions } from "./registry.ts";
import { agent } from "./world.suite.ts";

describe("the registry", () => {
  it("has every built-in action, with schemas of its input and output", () => {
    const actions = createActions(worldOf({ plain: true }).parts);
    const names = actions.list().map((action) => action.name);
    expect(names).toEqual([
      ...["agent", "approval", "commit", "fail", "files", "gates", "model", "noop", "push", "report", "send"],
      ...["shell", "summarise", "task", "wait", "workflow", "workspace"],
    ]);
    for (const action of actions.list()) {
      expect(action.input).toMatchObject({ type: "object" });
      expect(action.output).toBeTypeOf("object");
      expect(actions.get(action.name)).toBe(action);
    }
    expect(actions.get("nope")).toBeNull();
    expect(actions.get("agent")?.input).toMatchObject({
      required: ["agent", "task"],
      additionalProperties: false,
    });
  });

  it("has schemas that the check of a workflow file can use", () => {
    for (const action of createActions(worldOf({ plain: true }).parts).list()) {
      expect(compileSchema(action.input, { defaults: false }), action.name).toMatchObject({ ok: true });
    }
  });

  it("takes actions of plugins, but never one in the place of another", async () => {
    const { parts } = worldOf({ plain: true });
    const double = defineAction({
      name: "double",
      description: "Doubles.",
      input: z.object({ n: z.number(), by: z.number().default(2) }),
      output: z.object({ n: z.number().max(100) }),
      perform: async ({ n, by }) => ({ n: n * by }),
    });
    const action = createActions(parts, [double]).get("double");
    if (action === null) throw new Error("lost");
    expect(await act(action, { n: 4 }, contextOver(new Journal()))).toEqual({ ok: true, output: { n: 8 } });
    expect(await act(action, { n: "4" }, contextOver(new Journal()))).toMatchObject({
      failure: { code: "invalid_input", message: expect.stringMatching(/^the input of "double": n: /) },
    });
    expect(await act(action, { n: 90 }, contextOver(new Journal()))).toMatchObject({
      failure: { code: "action_crashed", message: expect.stringContaining("n: ") },
    });
    expect(() => createActions(parts, [double, double])).toThrow('an action "double" already');
    const named = (name: string) => () => defineAction({ ...double, name, input: z.any(), output: z.any() });
    expect(named("Bad Name")).toThrow("action name");
  });
});

describe("noop, fail, send", () => {
  it("noop gives its input back", async () => {
    expect(output(await use("noop", { a: 1, b: [null] }))).toEqual({ a: 1, b: [null] });
  });

  it("fail fails with the workflow's own words", async () => {
    expect(await use("fail", { message: "no" })).toMatchObject({
      failure: { code: "step_failed", message: "no", retryable: false },
    });
    expect(await use("fail", { message: "no", code: "mine", retryable: true })).toMatchObject({
      failure: { code: "mine", retryable: true },
    });
  });

  it("send sends", async () => {
    const journal = new Journal();
    expect(output(await use("send", { to: "run_2", name: "go", body: { n: 1 } }, { journal }))).toEqual({});
    expect(journal.sent).toEqual([{ to: "run_2", name: "go", body: { n: 1 } }]);
  });
});

describe("wait", () => {
  it("rests until the signal is there", async () => {
    const journal = new Journal();
    await expect(use("wait", { signal: "go" }, { journal })).rejects.toBeInstanceOf(Rests);
    journal.signals.set("wait", { body: { ok: true }, from: "api" });
    expect(output(await use("wait", { signal: "go" }, { journal }))).toEqual({
      body: { ok: true },
      from: "api",
    });
    journal.signals.set("wait", null);
    expect(output(await use("wait", { signal: "go", for: "1h" }, { journal }))).toEqual({
      body: null,
      from: null,
    });
  });

  it("rests for a time", async () => {
    const journal = new Journal();
    await expect(use("wait", { for: "90s" }, { journal })).rejects.toBeInstanceOf(Rests);
    journal.slept.add("wait");
    expect(output(await use("wait", { for: 90_000 }, { journal }))).toEqual({ body: null, from: null });
  });

  it.each([[{}], [{ for: "soon" }], [{ for: 0 }]])("refuses %j", async (input) => {
    expect(await use("wait", input)).toMatchObject({ failure: { code: "invalid_input" } });
  });
});

describe("approval", () => {
  const answered = (answer: "approved" | "denied" | "expired", comment = "") => {
    const journal = new Journal();
    journal.answers.set("approval", { answer, by: "ann", comment });
    return journal;
  };

  it("rests until a person answers", async () => {
    await expect(use("approval", { title: "Ship it?" })).rejects.toBeInstanceOf(Rests);
    const said = await use("approval", { title: "Ship it?" }, { journal: answered("approved", "fine") });
    expect(output(said)).toEqual({ answer: "approved", by: "ann", comment: "fine" });
  });

  it("fails when it was not approved, unless the workflow goes on", async () => {
    const denied = await use("approval", { title: "Ship it?" }, { journal: answered("denied", "too late") });
    expect(denied).toMatchObject({
      failure: {
        code: "approval_denied",
        message: 'ann denied "Ship it?": too late',
        details: { by: "ann" },
      },
    });
    const expired = await use(
      "approval",
      { title: "Ship it?", timeout: "1h" },
      { journal: answered("expired") },
    );
    expect(expired).toMatchObject({ failure: { code: "approval_expired" } });
    const goOn = { title: "Ship it?", on_denied: "continue" };
    expect(output(await use("approval", goOn, { journal: answered("denied") })).answer).toBe("denied");
  });
});

describe("workflow", () => {
  it("waits for the child and gives its output", async () => {
    const journal = new Journal();
    const input = { name: "child", inputs: { a: 1 } };
    await expect(use("workflow", input, { journal })).rejects.toBeInstanceOf(Rests);
    expect(journal.started).toEqual([{ workflow: "child", inputs: { a: 1 } }]);
    journal.children.set("child/end", { status: "completed", output: { b: 2 }, failure: null });
    expect(output(await use("workflow", input, { journal }))).toEqual({
      run: "run_child",
      status: "completed",
      output: { b: 2 },
    });
  });

  it("fails with the child's failure", async () => {
    const journal = new Journal();
    const failure = { code: "gates_failed", message: "red", retryable: false };
    journal.children.set("child/end", { status: "failed", output: null, failure });
    expect(await use("workflow", { name: "child" }, { journal })).toMatchObject({
      failure: {
        code: "child_failed",
        message: expect.stringContaining("red"),
        details: { run: "run_child", failure },
      },
    });
  });

  it("need not wait", async () => {
    const started = await use("workflow", { name: "child", wait: false });
    expect(output(started)).toEqual({ run: "run_child", status: "queued", output: null });
  });
});

describe("model", () => {
  it("asks once, with an agent's prompt or its own", async () => {
    const world = worldOf({ plain: true, script: [{ text: "Hello." }] });
    const said = await use("model", { prompt: "Hi", agent: "fixer" }, { world });
    expect(output(said)).toMatchObject({
      text: "Hello.",
      usage: { input: 10, cache_read: 5 },
      cost_micros: 100,
    });
    expect(world.gateway.requests[0]).toMatchObject({
      system: "agent: fixer\nstage: execute\n\nYou fix things.",
      maxOutputTokens: 1_000,
      tools: [],
    });
    await use("model", { prompt: "Hi", system: "Be brief.", use: "a/b" }, { world });
    expect(world.gateway.requests[1]).toMatchObject({ system: "Be brief.", use: "a/b" });
  });

  it("fails as the gateway fails", async () => {
    const world = worldOf({ plain: true, script: [{ fails: "model_rate_limited" }] });
    expect(await use("model", { prompt: "Hi" }, { world })).toMatchObject({
      failure: { code: "model_rate_limited", retryable: true, details: { record: { costMicros: 100 } } },
    });
  });
});

describe("shell", () => {
  it("runs in the workspace, or in a folder of the run", async () => {
    const world = worldOf({ plain: true });
    const ran = await use("shell", { run: "echo out; echo err >&2; ls", workspace: world.wire }, { world });
    expect(output(ran)).toMatchObject({ exit_code: 0, stdout: "out\nreadme.md\n", stderr: "err\n" });
    const scratch = output(await use("shell", { run: "pwd" }, { world }));
    expect(scratch.stdout).toContain(RUN);
  });

  it("fails for a non-zero exit code or too much time, unless that is allowed", async () => {
    const world = worldOf({ plain: true });
    expect(await use("shell", { run: "echo no; exit 3" }, { world })).toMatchObject({
      failure: { code: "command_failed", details: { exit_code: 3, stdout: "no\n" } },
    });
    expect(output(await use("shell", { run: "exit 3", allow_failure: true }, { world })).exit_code).toBe(3);
    expect(await use("shell", { run: "sleep 30", timeout: "200ms" }, { world })).toMatchObject({
      failure: { code: "command_timeout" },
    });
  });

  it("is not run again when nobody knows whether it ended, unless it may be", async () => {
    const world = worldOf({ plain: true });
    for (const [more, code] of [
      [{}, "uncertain_effect"],
      [{ repeatable: true }, null],
    ] as const) {
      const journal = new Journal();
      const input = { run: "echo x", ...more };
      await expect(use("shell", input, { world, journal, life: { crashAt: 3 } })).rejects.toThrow(
        "boundary 3",
      );
      const again = await use("shell", input, { world, journal });
      expect(again.ok ? null : again.failure.code).toBe(code);
    }
  });
});

describe("files", () => {
  it("writes inside the workspace", async () => {
    const world = worldOf({ plain: true });
    const write = [{ path: "a/b.txt", content: "b" }];
    expect(output(await use("files", { workspace: world.wire, write }, { world }))).toEqual({
      written: ["a/b.txt"],
    });
    expect(world.read("a/b.txt")).toBe("b");
  });

  it.each([["../out.txt"], ["/etc/passwd"], [".git/config"], ["a/../../out.txt"], [".GIT/hooks/x"]])(
    "writes nothing at all when one path is %s",
    async (path) => {
      const world = worldOf({ plain: true });
      const write = [
        { path: "fine.txt", content: "" },
        { path, content: "" },
      ];
      expect(await use("files", { workspace: world.wire, write }, { world })).toMatchObject({
        failure: { code: "workspace_escape" },
      });
      expect(existsSync(`${world.root}/fine.txt`)).toBe(false);
    },
  );
});

describe("authorize", () => {
  const call = (risk: "low" | "medium" | "high") => ({
    agent: agent({}),
    tool: { name: "t", risk, readOnly: false },
    input: {},
  });

  it("allows up to a risk, and asks or denies above it", () => {
    const ask = authorizeByRisk({ allowUpTo: "medium", above: "ask", askTimeoutMs: 5 });
    expect([ask(call("low")).kind, ask(call("medium")).kind]).toEqual(["allow", "allow"]);
    expect(ask(call("high"))).toEqual({
      kind: "ask",
      title: "fixer wants to call t",
      risk: "high",
      timeoutMs: 5,
    });
    const deny = authorizeByRisk({ allowUpTo: "low", above: "deny", askTimeoutMs: 5 });
    expect(deny(call("medium"))).toMatchObject({
      kind: "deny",
      reason: expect.stringContaining("medium risk"),
    });
  });
});
