import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Approval, Event, Run, RunDetail, RunPage } from "../src/http/api.ts";
import { Desk, type Running } from "./support/cli.ts";
import { until } from "./support/until.ts";

const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));
const windows = process.platform === "win32";

const SUMS = `name: sums
version: "1"
description: Passes its inputs on and leaves a report.
inputs:
  n: { type: integer, required: true }
  text: { type: string, default: none }
  list: { type: array, default: [] }
steps:
  - id: work
    uses: noop
    with: { n: "\${{ inputs.n }}" }
  - id: report
    uses: report
    needs: work
outputs:
  n: \${{ inputs.n }}
  text: \${{ inputs.text }}
  list: \${{ inputs.list }}
`;
const ASK = `name: ask
version: "1"
description: Asks a person.
steps:
  - id: gate
    uses: approval
    with: { title: "Ship it?", details: { to: production } }
outputs:
  by: \${{ steps.gate.outputs.by }}
`;
const HOLD = `name: hold
version: "1"
description: Waits for a signal.
steps:
  - id: hold
    uses: wait
    with: { signal: go }
outputs:
  got: \${{ steps.hold.outputs.body }}
`;
const BREAK = `name: break
version: "1"
description: Fails.
steps:
  - id: boom
    uses: fail
    with: { message: it is meant to fail }
`;
const STUBBORN = `name: stubborn
version: "1"
description: Does not end when it is asked to.
steps:
  - id: sit
    uses: shell
    with: { run: "trap '' TERM; echo sitting; while true; do sleep 1; done" }
`;
const BAD = `name: bad
version: "1"
description: Names an action that is not there.
steps:
  - id: a
    uses: nop
`;
const GREETING = `name: greeting
turns:
  - text: Hello, Ada!
    times: always
`;

/** Uploads the workflows of these tests. */
async function prepare(desk: Desk): Promise<void> {
  for (const [name, source] of Object.entries({ sums: SUMS, ask: ASK, hold: HOLD, break: BREAK })) {
    const { code, stderr } = await desk.run(["upload", desk.file(`${name}.yaml`, source)]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
  }
}

interface Wrong {
  readonly name: string;
  readonly args: readonly string[];
  readonly message: string;
  readonly env?: Readonly<Record<string, string>>;
}

function errorOf(stderr: string): { code: string; message: string; remedy: string } {
  return JSON.parse(stderr).error;
}

describe("what was typed", () => {
  const desk = new Desk();
  afterAll(() => desk.close());

  it("--version and --help", async () => {
    const { version } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8"));
    expect(await desk.run(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
    const help = await desk.run(["--help"]);
    expect(help.code).toBe(0);
    for (const name of [
      "init",
      "start",
      "worker",
      "run",
      "runs",
      "show",
      "events",
      "cancel",
      "demo",
      "doctor",
    ]) {
      expect(help.stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    }
    expect((await desk.run(["run", "--help"])).stdout).toContain("--idempotency-key");
  });

  it.each<Wrong>([
    { name: "no command", args: [], message: "Usage: agent-runner" },
    { name: "an unknown command", args: ["rnus"], message: "Did you mean runs?" },
    { name: "an unknown option", args: ["runs", "--limt", "3"], message: "Did you mean --limit?" },
    { name: "a number out of bounds", args: ["runs", "--limit", "0"], message: "whole number from 1 to" },
    { name: "a missing argument", args: ["show"], message: "missing required argument 'run'" },
    { name: "a server that is no URL", args: ["runs", "--server", "here"], message: "expected a URL" },
    { name: "an answer that is none", args: ["answer", "apr_x", "perhaps"], message: "approve or deny" },
    { name: "a body that is not JSON", args: ["signal", "run_x", "go", "--body", "{"], message: "not JSON" },
    { name: "half of a demo", args: ["demo", "--repo", "."], message: "--repo and --task go together" },
    {
      name: "an unknown setting",
      args: ["runs"],
      message: "AGENT_RUNNER_SLOTS?",
      env: { AGENT_RUNNER_SLOT: "1" },
    },
  ])("$name is wrong usage: exit code 2", async ({ args, message, env = {} }) => {
    const { code, stdout, stderr } = await desk.run(args, { env });
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(existsSync(desk.data)).toBe(false);
  });

  it("an error is one JSON object with --json", async () => {
    const { code, stdout, stderr } = await desk.run(["rnus", "--json"]);
    expect(errorOf(stderr)).toMatchObject({
      code: "invalid_usage",
      message: expect.stringContaining("rnus"),
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("a server that is down is unavailable: exit code 3", async () => {
    const { code, stderr } = await desk.run(["runs", "--server", "http://127.0.0.1:9", "--json"]);
    expect(errorOf(stderr).code).toBe("unavailable");
    expect(code).toBe(3);
  });

  it("something else at the server's address is not taken for one", async () => {
    const other = createServer((_, response) => response.end("<html>")).listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await desk.run(["runs", "--server", `http://127.0.0.1:${port}`, "--json"]);
    other.close();
    expect(errorOf(stderr)).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("<html>"),
    });
    expect(code).toBe(3);
  });

  it("doctor fails when the model that would be used does not answer", async () => {
    const { code, stdout } = await desk.run(["doctor", "--model", "ollama/some"], {
      env: { OLLAMA_HOST: "127.0.0.1:9" },
    });
    expect(stdout).toMatch(/✗ model provider ollama/);
    expect(code).toBe(1);
  });

  it("a data folder that cannot be one is refused: exit code 2", async () => {
    const file = desk.file("a-file", "");
    const { code, stderr } = await desk.run(["--data", file, "runs", "--json"]);
    expect(errorOf(stderr)).toMatchObject({ code: "invalid_config", message: expect.stringContaining(file) });
    expect(code).toBe(2);
    const doctor = await desk.run(["--data", file, "doctor", "--json"]);
    expect(doctor.code).toBe(1);
    expect(JSON.parse(doctor.stdout).checks).toContainEqual(
      expect.objectContaining({ name: "data folder", status: "fail" }),
    );
  });

  it("a demo with one's own repository needs a model", async () => {
    const repo = desk.repository("mine", { "a.txt": "a" });
    const { code, stderr } = await desk.run(["demo", "--repo", repo, "--task", "x"]);
    expect(stderr).toContain("no model provider is configured");
    expect(code).toBe(2);
  });
});

describe("files", () => {
  const desk = new Desk();
  afterAll(() => desk.close());

  it("validate shows line, column and what was expected, and needs no data folder", async () => {
    const bad = desk.file("bad.yaml", BAD);
    const good = desk.file("sums.yaml", SUMS);
    const { code, stdout, stderr } = await desk.run(["validate", bad, good]);
    expect(stderr).toContain(`${bad}:6:11 error steps[0].uses: there is no action`);
    expect(stderr).toContain("(did you mean noop?)");
    expect(stderr).toContain("    6 |     uses: nop\n      |           ^\n");
    expect(stdout).toContain(`✗ ${bad}: 1 error`);
    expect(stdout).toContain(`✓ ${good}: workflow sums`);
    expect(code).toBe(2);
    const told = await desk.json(["validate", bad, good], 2);
    expect(told).toMatchObject({
      valid: false,
      files: [
        {
          file: bad,
          valid: false,
          diagnostics: [{ line: 6, column: 11, path: "steps[0].uses", suggestion: "noop" }],
        },
        { file: good, valid: true, name: "sums", diagnostics: [] },
      ],
    });
    expect(existsSync(desk.data)).toBe(false);
  });

  it("validate takes agents and gates, and says what it does not know", async () => {
    const agent = desk.file(
      "agent.md",
      "---\nname: x\ndescription: Reads.\nmodel: {}\ntools: [reed]\n---\nHello.\n",
    );
    const gates = desk.file("r/.agent-runner/gates.yaml", "gates:\n  - name: test\n    runs: x\n");
    const { code, stderr } = await desk.run(["validate", agent, gates]);
    expect(stderr).toMatch(/agent\.md:5:\d+ error .*did you mean read\?/);
    expect(stderr).toMatch(/gates\.yaml:3:5 error .*did you mean "run"\?/);
    expect(code).toBe(2);
    expect(await desk.run(["validate", desk.file("a.txt", "")])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("neither a workflow"),
    });
    expect((await desk.run(["validate", "no-such.yaml"])).code).toBe(2);
  });

  it("init writes the gates that were detected, once", async () => {
    const repo = desk.repository("shop", { "package.json": '{ "scripts": { "test": "node --test" } }' });
    const first = await desk.run(["init", repo]);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining("Gates: test.") });
    const file = join(repo, ".agent-runner", "gates.yaml");
    expect((await desk.run(["validate", file])).code).toBe(0);
    const before = readFileSync(file, "utf8");
    const second = await desk.run(["init", repo, "--json"]);
    expect(errorOf(second.stderr)).toMatchObject({
      code: "conflict",
      message: expect.stringContaining(file),
    });
    expect(second.code).toBe(2);
    expect(readFileSync(file, "utf8")).toBe(before);
    const doctor = await desk.json<{ checks: { name: string; detail: string }[] }>(["doctor"], 0, {
      cwd: repo,
    });
    expect(doctor.checks.find(({ name }) => name === "gates")?.detail).toContain("test (configured)");
  });

  it("init of a project without known gates leaves a file to name them in; without a repository, nothing", async () => {
    const bare = desk.repository("bare", { "a.txt": "a" });
    expect(await desk.run(["init", bare])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("No gates"),
    });
    expect((await desk.run(["validate", join(bare, ".agent-runner", "gates.yaml")])).code).toBe(0);
    const { code, stderr } = await desk.run(["init", desk.root, "--json"]);
    expect(errorOf(stderr).code).toBe("not_a_repository");
    expect(code).toBe(2);
  });

  it("context ranks the files of a repository for a task, within the budget", async () => {
    const repo = desk.repository("code", {
      "src/voucher.js": "export function redeemVoucher(cart) {}\n",
      "src/weather.js": "export function forecast() {}\n",
    });
    const args = ["context", "--repo", repo, "--task", "redeem a voucher", "--budget", "500"];
    const context = await desk.json<{ files: { path: string; score: number }[]; tokens: number }>(args);
    expect(context.files[0]).toMatchObject({ path: "src/voucher.js", score: expect.any(Number) });
    expect(context.tokens).toBeLessThanOrEqual(500);
    expect((await desk.run(args)).stdout).toMatch(/^SCORE +FILE/);
    const missing = await desk.run([
      "context",
      "--repo",
      join(desk.root, "nowhere"),
      "--task",
      "x",
      "--json",
    ]);
    expect(errorOf(missing.stderr).code).toBe("not_a_repository");
    expect(missing.code).toBe(2);
  });
});

describe("without a server", () => {
  const desk = new Desk();
  beforeAll(() => prepare(desk));
  afterAll(() => desk.close());
  const runs = async (...args: string[]) => (await desk.json<RunPage>(["runs", ...args])).runs;

  it("run drives the run here, with inputs as the workflow types them", async () => {
    const ended = await desk.run([
      "run",
      "sums",
      "-i",
      "n=3",
      "-i",
      "text=007",
      "-i",
      "list=[1,2]",
      "--title",
      "Three",
    ]);
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain("work succeeded");
    expect(ended.stdout).toMatch(/sums {2}completed/);
    const [run] = await runs("--workflow", "sums");
    expect(run).toMatchObject({ status: "completed", title: "Three" });
    const detail = await desk.json<RunDetail>(["show", run?.id ?? ""]);
    expect(detail.output).toEqual({ n: 3, text: "007", list: [1, 2] });
  });

  it("run --json says one document on stdout and nothing else; the same key starts one run", async () => {
    const args = ["run", "sums", "--inputs", "-", "-i", "n=4", "--idempotency-key", "k1", "--json"];
    const first = await desk.run(args, { stdin: '{ "n": 1, "text": "from stdin" }' });
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const detail = JSON.parse(first.stdout) as RunDetail;
    expect(detail).toMatchObject({ status: "completed", output: { n: 4, text: "from stdin" } });
    const again = JSON.parse((await desk.run(args, { stdin: '{ "n": 1, "text": "from stdin" }' })).stdout);
    expect(again.id).toBe(detail.id);
  });

  it("show, events and artifacts tell of it", async () => {
    const [run] = await runs("--workflow", "sums", "--limit", "1");
    const id = run?.id ?? "";
    expect((await desk.run(["show", id])).stdout).toMatch(
      /STEP +STATUS.*work +succeeded.*report +succeeded/s,
    );
    const { stdout } = await desk.run(["events", id, "--json"]);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Event);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    expect(events.at(-1)?.kind).toBe("run_completed");
    const followed = await desk.run(["events", id, "--follow", "--after", "2", "--json"]);
    expect(followed.stdout.trim().split("\n")).toHaveLength(events.length - 2);
    expect((await desk.run(["artifacts", id])).stdout).toContain("run.json");
    const file = join(desk.root, "out.json");
    expect((await desk.run(["artifacts", id, "run.json", "-o", file])).code).toBe(0);
    const direct = await desk.run(["artifacts", id, "run.json"]);
    expect(direct.stdout).toBe(readFileSync(file, "utf8"));
    expect(JSON.parse(direct.stdout).run.id).toBe(id);
    expect(await desk.run(["artifacts", id, "run.jsn"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean "run.json"?'),
    });
  });

  it.each([
    ["a pair without =", ["run", "sums", "-i", "n"], "expected key=value"],
    ["a value of another type", ["run", "sums", "-i", "n=many"], "expected integer, written as JSON"],
    ["an unknown input", ["run", "sums", "-i", "n=1", "-i", "txt=a"], "did you mean `text`?"],
    ["a missing input", ["run", "sums"], "`n`"],
    ["an unknown workflow", ["run", "sms"], 'Did you mean "sums"?'],
    [
      "a repository that is not there",
      ["run", "code-change", "--repo", "nowhere", "--task", "x"],
      "does not exist",
    ],
    ["an empty task", ["run", "code-change", "--repo", ".", "--task", " "], "--task is empty"],
    [
      "a task file that is not there",
      ["run", "code-change", "--repo", ".", "--task", "@no.md"],
      "no.md cannot be read",
    ],
    ["an unknown run", ["show", "run_x"], "run_x"],
    ["an invalid workflow", ["upload", "bad.yaml"], "bad.yaml:6:11 error"],
  ])("%s is refused before anything is done: exit code 2", async (_, args, message) => {
    desk.file("bad.yaml", BAD);
    const { code, stderr, stdout } = await desk.run(args);
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("nothing was started by what was refused", async () => {
    expect(await runs()).toHaveLength(2);
  });

  it("a run that fails is exit code 1, with the failure and its remedy", async () => {
    const { code, stdout } = await desk.run(["run", "break"]);
    expect(stdout).toContain("it is meant to fail");
    expect(code).toBe(1);
  });

  it("a run that waits for a person is exit code 5 with --no-wait; the answer is kept until somebody works", async () => {
    const waiting = await desk.run(["run", "ask", "--no-wait"]);
    expect(waiting.code).toBe(5);
    const [approval] = (await desk.json<{ approvals: Approval[] }>(["approvals"])).approvals;
    const id = approval?.id ?? "";
    expect(waiting.stderr).toContain(`answer ${id} approve`);
    expect((await desk.run(["approvals"])).stdout).toContain("Ship it?");
    const answered = await desk.run(["answer", id, "approve", "--comment", "fine"], { env: { USER: "ada" } });
    expect(answered.code).toBe(0);
    expect(answered.stderr).toContain("Nobody works on");
    const worker = desk.start(["worker"]);
    const ended = await desk.run(["events", approval?.run ?? "", "--follow"]);
    expect(ended.stdout).toContain("approved by ada");
    worker.child.kill("SIGTERM");
    if (!windows) expect((await worker.ended).code).toBe(0);
    expect((await desk.run(["approvals"])).stdout).toBe("nothing waits for an answer\n");
    expect(await desk.run(["answer", id, "deny"])).toMatchObject({ code: 2 });
  });

  it.skipIf(windows)("Ctrl-C cancels the run, which is exit code 4", async () => {
    const run = desk.start(["run", "hold"]);
    await run.says("hold started");
    run.child.kill("SIGINT");
    const { code, stderr, stdout } = await run.ended;
    expect(stderr).toContain("Ctrl-C again leaves at once");
    expect(stdout).toMatch(/hold {2}canceled/);
    expect(code).toBe(4);
  });

  it.skipIf(windows)(
    "a second Ctrl-C leaves at once, which is exit code 130; the next worker ends the run",
    async () => {
      await desk.run(["upload", desk.file("stubborn.yaml", STUBBORN)]);
      const run = desk.start(["run", "stubborn", "--verbose"]);
      await run.says("sitting");
      run.child.kill("SIGINT");
      await run.says("leaves at once");
      run.child.kill("SIGINT");
      expect((await run.ended).code).toBe(130);
      const [left] = await runs("--workflow", "stubborn");
      expect(left?.status).toBe("running");
      const worker = desk.start(["worker"]);
      await desk.run(["events", left?.id ?? "", "--follow"]);
      worker.child.kill("SIGTERM");
      await worker.ended;
      expect((await desk.json<RunDetail>(["show", left?.id ?? ""])).status).toBe("canceled");
    },
  );

  it.skipIf(windows)("SIGTERM leaves the run to others, who go on", async () => {
    const run = desk.start(["run", "hold"]);
    await run.says("go on with");
    run.child.kill("SIGTERM");
    expect((await run.ended).code).toBe(143);
    const [held] = await runs("--status", "running", "--workflow", "hold");
    const id = held?.id ?? "";
    expect((await desk.run(["signal", id, "go", "--body", '{"n":1}'])).code).toBe(0);
    const worker = desk.start(["worker"]);
    await desk.run(["events", id, "--follow"]);
    worker.child.kill("SIGTERM");
    await worker.ended;
    expect((await desk.json<RunDetail>(["show", id])).output).toEqual({ got: { n: 1 } });
  });

  it("a project's own definitions are found from within it, and what is wrong with them is told", async () => {
    const project = desk.repository("project", {
      ".agent-runner/workflows/own.yaml": SUMS.replaceAll("sums", "own"),
      ".agent-runner/workflows/bad.yaml": BAD,
      "deep/a.txt": "a",
    });
    const listed = await desk.run(["workflows"], { cwd: join(project, "deep") });
    expect(listed.stdout).toMatch(/^own .* project/m);
    expect(listed.stderr).toContain("left out: .agent-runner/workflows/bad.yaml:6:11");
  });

  it("lists what there is", async () => {
    expect((await desk.run(["workflows"])).stdout).toMatch(/code-change.*sums +1 .*uploaded/s);
    expect((await desk.run(["workflows", "sums"])).stdout).toMatch(/inputs\n {2}n +integer +required/);
    expect((await desk.run(["workflows", "sums", "--source"])).stdout).toBe(SUMS);
    expect((await desk.run(["agents"])).stdout).toContain("implement");
    expect((await desk.run(["agents", "implement"])).stdout).toContain("senior engineer");
    expect((await desk.run(["agents", "implment"])).stderr).toContain("implement");
    expect((await desk.run(["providers"])).code).toBe(3);
  });

  it("a model that plays a script, over the wire of a provider", async () => {
    const books = desk.file("books.jsonl", "");
    const prices = desk.file("prices.json", '{"*": {"input": 0, "output": 1000}}');
    const script = desk.file("greeting.yaml", GREETING);
    const server = desk.start(["fake-models", "--script", script, "--ledger", books, "--prices", prices]);
    const said = await server.says(/http:\S+/);
    const url = /http:\S+?(?=;|\s)/.exec(said)?.[0] ?? "";
    const env = { ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: "fake" };
    const detail = await desk.json<RunDetail>(["run", "hello", "-i", "name=Ada"], 0, { env });
    expect(detail.output).toEqual({ greeting: "Hello, Ada!" });
    expect((await desk.run(["providers"], { env })).code).toBe(0);
    server.child.kill("SIGTERM");
    if (windows) return;
    expect((await server.ended).code).toBe(0);
    const bills = readFileSync(books, "utf8").trim().split("\n");
    expect(bills).toHaveLength(1);
    const bill = JSON.parse(bills[0] ?? "") as { tokens: { output: number } };
    expect(bill).toMatchObject({
      wire: "anthropic",
      end: "answered",
      costMicros: 1_000 * bill.tokens.output,
    });
  });

  it("says what is wrong with the prices of a fake server", async () => {
    const told = async (source: string) =>
      (await desk.run(["fake-models", "--prices", desk.file("prices.json", source)])).stderr;
    expect(await told("input: 3")).toContain("is not JSON");
    expect(await told('{"*": {"input": -1, "output": 2}}')).toMatch(
      /not a table of prices \(\*\.input: .*write \{"\*"/,
    );
    expect(await told("{}")).toContain("is empty");
  });
});

describe("with a server", () => {
  const desk = new Desk();
  let server: Running;
  const note = () =>
    JSON.parse(readFileSync(join(desk.data, "server.json"), "utf8")) as { url: string; pid: number };
  const start = async (port = "0") => {
    server = desk.start(["start", "--port", port], { env: { AGENT_RUNNER_LOG: "warn" } });
    await server.says("agent-runner");
  };
  const detach = async (workflow: string) => (await desk.json<Run>(["run", workflow, "--detach"])).id;
  const ended = async (id: string) => {
    await desk.run(["events", id, "--follow", "--json"]);
    return desk.json<RunDetail>(["show", id]);
  };
  beforeAll(async () => {
    await start();
    await prepare(desk);
  });
  afterAll(() => desk.close());

  it("notes where it is, and the commands find it", async () => {
    expect(note()).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      pid: server.child.pid,
    });
    const doctor = await desk.json<{ checks: { name: string; detail: string }[] }>(["doctor"]);
    expect(doctor.checks.find(({ name }) => name === "server")?.detail).toContain(note().url);
    const other = await desk.run([
      "--data",
      join(desk.root, "elsewhere"),
      "workflows",
      "sums",
      "--server",
      note().url,
    ]);
    expect(other).toMatchObject({ code: 0, stdout: expect.stringContaining("uploaded") });
  });

  it("run follows over the wire", async () => {
    const { code, stdout, stderr } = await desk.run(["run", "sums", "-i", "n=1"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/sums {2}completed/) });
    expect(stderr).toContain("report succeeded");
    expect((await desk.run(["run", "break", "--json"])).code).toBe(1);
  });

  it("signal, pause, resume, reply and cancel reach a run", async () => {
    const id = await detach("hold");
    await until("the run to wait", async () =>
      (await desk.json<RunDetail>(["show", id])).waiting.length > 0 ? true : null,
    );
    expect((await desk.json<Run>(["pause", id])).id).toBe(id);
    const paused = await until("the pause", async () => {
      const detail = await desk.json<RunDetail>(["show", id]);
      return detail.paused ? detail : null;
    });
    expect(paused.status).toBe("running");
    expect((await desk.run(["resume", id])).code).toBe(0);
    expect((await desk.run(["signal", id, "go", "--body", '"now"'])).code).toBe(0);
    expect(await ended(id)).toMatchObject({ status: "completed", output: { got: "now" } });
    const late = await desk.run(["reply", id, "too late", "--json"]);
    expect(errorOf(late.stderr).code).toBe("run_ended");
    const second = await detach("hold");
    expect((await desk.run(["cancel", second, "--reason", "changed my mind"])).code).toBe(0);
    expect(await ended(second)).toMatchObject({ status: "canceled" });
  });

  it("an approval is answered from another terminal while run waits", async () => {
    const run = desk.start(["run", "ask"]);
    const said = await run.says(/answer apr_\w+ approve/);
    const id = /answer (apr_\w+) approve/.exec(said)?.[1] ?? "";
    // The server of this folder believes who may read the folder; `--principal` says another name.
    const deny = ["answer", id, "deny", "--comment", "not on a Friday"];
    const env = { USER: "CORP\\Ada L" };
    expect(await desk.json<Approval>(deny, 0, { env })).toMatchObject({
      status: "denied",
      answered_by: "CORP-Ada-L",
    });
    const other = await desk.json<Approval>([...deny, "--principal", "bob"], 0, { env });
    expect(other.answered_by).toBe("CORP-Ada-L");
    expect(JSON.stringify(note())).toContain('"key":');
    const { code, stdout } = await run.ended;
    expect(stdout).toContain("not on a Friday");
    expect(code).toBe(1);
  });

  it("a second one on the same data folder is refused, and so is an address that others can reach", async () => {
    const second = await desk.run(["start", "--port", "0", "--json"]);
    expect(errorOf(second.stderr)).toMatchObject({
      code: "conflict",
      message: expect.stringContaining(note().url),
    });
    expect(second.code).toBe(2);
    const data = join(desk.root, "open");
    const open = await desk.run(["--data", data, "start", "--host", "0.0.0.0", "--json"]);
    expect(errorOf(open.stderr)).toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining("0.0.0.0"),
    });
    expect(open.code).toBe(2);
    const port = new URL(note().url).port;
    const taken = await desk.run(["--data", data, "start", "--port", port, "--json"]);
    expect(errorOf(taken.stderr).code).toBe("address_in_use");
    expect(existsSync(join(data, "server.json"))).toBe(false);
  });

  it("kill -9, then start: the run goes on, and whoever follows it sees it end", async () => {
    const id = await detach("hold");
    await until("the run to wait", async () =>
      (await desk.json<RunDetail>(["show", id])).waiting.length > 0 ? true : null,
    );
    const before = note();
    const follower = desk.start(["events", id, "--follow", "--json"]);
    await follower.says("step_waiting");
    server.child.kill("SIGKILL");
    await server.ended;
    expect(note()).toEqual(before);
    // The note of the dead is not believed: this works within the process.
    expect((await desk.run(["signal", id, "go"])).code).toBe(0);
    await start(new URL(before.url).port);
    expect(note()).toMatchObject({ url: before.url, pid: server.child.pid });
    // It lost the stream and took it up where it broke: every event, once, to the end.
    const followed = await follower.ended;
    const seqs = followed.stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as Event).seq);
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    expect(followed).toMatchObject({ code: 0, stdout: expect.stringContaining("run_completed") });
    expect(await ended(id)).toMatchObject({ status: "completed", last_seq: seqs.length });
  });

  it.skipIf(windows)(
    "reads the slots again at SIGHUP, drains at SIGTERM and takes its note away",
    async () => {
      server.child.kill("SIGTERM");
      expect((await server.ended).code).toBe(0);
      expect(existsSync(join(desk.data, "server.json"))).toBe(false);
      const settings = desk.file("settings.env", "AGENT_RUNNER_SLOTS=2\nAGENT_RUNNER_LOG=error\n");
      server = desk.start(["start", "--port", "0", "--env-file", settings]);
      await server.says("agent-runner");
      writeFileSync(settings, "AGENT_RUNNER_SLOTS=3\n");
      server.child.kill("SIGHUP");
      await server.says(/settings read again: .*AGENT_RUNNER_SLOTS 2 → 3/);
      writeFileSync(settings, "AGENT_RUNNER_SLOTS=lots\n");
      server.child.kill("SIGHUP");
      await server.says(/settings kept as they were: .*lots/);
      server.child.kill("SIGINT");
      expect((await server.ended).code).toBe(0);
    },
  );
});
