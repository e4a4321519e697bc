import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json } from "../../src/base/json.ts";
import { ERRORS, type ErrorCode } from "../../src/domain/errors.ts";
import { createHttpServer, type HttpServer } from "../../src/http/server.ts";
import type { Runner } from "../../src/index.ts";
import { listRuns } from "../../src/operations/runs/list-runs.ts";
import {
  artifactText,
  ended,
  FLOW_WORKERS,
  factsOf,
  git,
  Playground,
  run,
  runRecord,
  writeFiles,
} from "./playground.ts";

const MEGABYTE = 1_048_576;
const HELLO = `name: mine
version: "1"
description: Says hello.
steps:
  - { id: first, uses: noop }
  - { id: second, uses: noop, needs: first }
`;

/** What is nested so deeply that whoever follows it by recursion falls over. */
function deep(levels: number): Json {
  let value: Json = "the bottom";
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

function code(expected: ErrorCode, message: RegExp) {
  return { failure: { code: expected, message: expect.stringMatching(message) } };
}

describe("what is refused at the door", () => {
  const play = new Playground();
  let runner: Runner;
  let server: HttpServer;
  beforeAll(async () => {
    runner = await play.runner({ inside: true });
    const logger = pino({ level: "silent" });
    server = createHttpServer({ ...runner.house.operations, logger, version: "1" });
  });
  afterAll(async () => {
    await server.close();
    await play.close();
  });

  async function post(url: string, payload: string | Buffer, type = "application/json") {
    const headers = { host: "localhost", "content-type": type };
    const answer = await server.app.inject({ method: "POST", url, payload, headers });
    return { status: answer.statusCode, ...answer.json() };
  }

  const workflows: readonly [string, string, ErrorCode, RegExp][] = [
    ["malformed YAML", HELLO.replace("{ id: first", "{ id: [first"), "invalid_workflow", /workflow\.yaml:5:/],
    ["a tab in YAML", HELLO.replace("  - { id: first", "\t- { id: first"), "invalid_workflow", /:5:/],
    ["something that is no workflow", "42\n", "invalid_workflow", /:1:1/],
    ["nothing at all", "", "invalid_workflow", /./],
    ["binary", `name: \u0000\u0001${randomBytes(64).toString("latin1")}`, "invalid_workflow", /./],
    [
      "a circle",
      HELLO.replace("id: first, uses: noop", "id: first, uses: noop, needs: second"),
      "invalid_workflow",
      /first.*second|second.*first/,
    ],
    [
      "a step that needs itself",
      HELLO.replace("needs: first", "needs: second"),
      "invalid_workflow",
      /second/,
    ],
    [
      "an unknown step",
      HELLO.replace("needs: first", "needs: frist"),
      "invalid_workflow",
      /did you mean `first`/,
    ],
    [
      "an unknown step in an expression",
      `${HELLO}outputs:\n  out: \${{ steps.secnod.outputs }}\n`,
      "invalid_workflow",
      /did you mean `second`/,
    ],
    [
      "an unknown action",
      HELLO.replace("uses: noop", "uses: nop"),
      "invalid_workflow",
      /did you mean `noop`/,
    ],
    ["two steps of one name", HELLO.replace("id: second", "id: first"), "invalid_workflow", /first/],
    ["a flood of aliases", `${HELLO}x: &a [1]\ny: [${"*a, ".repeat(500)}*a]\n`, "invalid_workflow", /./],
    ["a deep file", `${HELLO}x: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`, "invalid_workflow", /./],
    ["a file of 10 MB", `${HELLO}# ${"x".repeat(10 * MEGABYTE)}`, "payload_too_large", /262144/],
  ];

  it.each(workflows)("as a workflow: %s", async (_name, source, expected, message) => {
    await expect(runner.addWorkflow(source)).rejects.toMatchObject(code(expected, message));
    const answer = await post("/workflows", JSON.stringify({ source }));
    const tooLarge = Buffer.byteLength(source) > MEGABYTE;
    const wanted = source === "" ? "invalid_request" : expected;
    expect([answer.status, answer.error.code]).toEqual([ERRORS[wanted].status, wanted]);
    if (!tooLarge && source !== "") expect(answer.error.message).toMatch(message);
  });

  it("as inputs: 10 MB, a hundred thousand levels, the wrong type, what is not asked for", async () => {
    const start = (inputs: Json) => runner.start("hello", inputs);
    const big = { name: "x".repeat(10 * MEGABYTE) };
    await expect(start(big)).rejects.toMatchObject(code("payload_too_large", /1048576/));
    await expect(start({ name: deep(100_000) })).rejects.toMatchObject(
      code("payload_too_large", /64 levels/),
    );
    await expect(start(deep(100_000))).rejects.toMatchObject(code("payload_too_large", /64 levels/));
    await expect(start({ name: 7 })).rejects.toMatchObject(code("invalid_input", /name/));
    await expect(start({ nmae: "Ada" })).rejects.toMatchObject(code("invalid_input", /nmae/));
    await expect(start([])).rejects.toMatchObject(code("invalid_input", /./));
    await expect(runner.start("helo", {})).rejects.toMatchObject(code("not_found", /hello/));
    await expect(runner.signal("run_x", "no spaces")).rejects.toMatchObject(code("invalid_request", /name/));
  });

  it("as a body: 10 MB, a hundred thousand levels, broken JSON, binary, another type", async () => {
    const ask = async (payload: string | Buffer, type?: string) => {
      const answer = await post("/runs", payload, type);
      return `${answer.status} ${answer.error.code}`;
    };
    const inputs = (value: string) => `{"workflow":"hello","inputs":${value}}`;
    expect(await ask(inputs(`{"name":"${"x".repeat(10 * MEGABYTE)}"}`))).toBe("413 payload_too_large");
    expect(await ask(inputs("[".repeat(100_000) + "]".repeat(100_000)))).toBe("413 payload_too_large");
    expect(await ask(inputs("[".repeat(100_000)))).toBe("400 invalid_request");
    expect(await ask(inputs('{"name": "Ada"'))).toBe("400 invalid_request");
    expect(await ask(randomBytes(1_000))).toBe("400 invalid_request");
    expect(await ask("")).toBe("400 invalid_request");
    expect(await ask("null")).toBe("400 invalid_request");
    expect(await ask("<run/>", "text/xml")).toBe("415 unsupported_media_type");
    expect(await ask('{"workflow":"hello","inputs":{"__proto__":{"name":"x"}}}')).toBe("400 invalid_request");
    expect(await ask('{"workflow":"hello","prioritty":1}')).toBe("400 invalid_request");
  });

  it("and nothing of it left a run or a workflow", async () => {
    const runs = await listRuns(runner.house.operations, { filter: {} });
    expect(runs.ok && runs.value.runs).toEqual([]);
    await expect(runner.start("mine", {})).rejects.toMatchObject(code("not_found", /mine/));
    await runner.addWorkflow(HELLO);
    expect((await run(runner, "mine", {})).summary.status).toBe("completed");
  });
});

describe("a repository that is not as it should be", () => {
  const play = new Playground();
  let runner: Runner;
  let repo = "";
  const finish = { name: "finish", input: { outcome: "done", summary: "It is there." } };
  const write = { name: "write", input: { path: "new.txt", content: "new\n" } };
  const read = { name: "read", input: { path: "new.txt" } };
  const words = {
    agents: {
      implement: [{ tool_calls: [write] }, { tool_calls: [read] }, { tool_calls: [finish] }],
      commit_message: [{ text: "feat: a new file", times: "always" as const }],
    },
  };
  beforeAll(async () => {
    repo = await play.repository("repo", { "a.txt": "1\n" });
    runner = await play.runner({ words });
  });
  afterAll(() => play.close());

  async function fails(inputs: { readonly repo: string } & Readonly<Record<string, Json>>) {
    const done = await run(runner, "code-change", { task: "Add a file", ...inputs });
    expect(done.summary.status).toBe("failed");
    // The report is left all the same, and says why.
    const text = await artifactText(runner, done, "report.md");
    expect(text).toContain(done.summary.failure?.code ?? "?");
    return `${done.summary.failure?.code} ${done.summary.failure?.message}`;
  }

  it("is refused with its reason", async () => {
    const plain = play.path("plain");
    mkdirSync(plain);
    writeFileSync(play.path("file.txt"), "no folder");
    const empty = play.path("empty");
    mkdirSync(empty);
    await git(empty, "init", "--quiet");
    const results = await Promise.all([
      fails({ repo: plain }),
      fails({ repo: play.path("nowhere") }),
      fails({ repo: play.path("file.txt") }),
      fails({ repo: "a/relative/path" }),
      fails({ repo: empty }),
      fails({ repo, base: "no-such-branch" }),
      fails({ repo, branch: "..bad..name" }),
    ]);
    expect(results.map((text) => text.split(" ")[0])).toEqual([
      "not_a_repository",
      "not_a_repository",
      "not_a_repository",
      "invalid_input",
      "empty_repository",
      "invalid_input",
      "invalid_input",
    ]);
    expect(results[0]).toContain(plain);
    expect(results[3]).toContain("a/relative/path");
    expect(results[5]).toContain("no-such-branch");
  });

  it("with uncommitted changes is refused by their names, unless it may have them", async () => {
    writeFiles(repo, { "a.txt": "2\n", "b.txt": "untracked\n" });
    expect(await fails({ repo })).toMatch(/^dirty_target .*a\.txt, b\.txt/);
    const done = await run(runner, "code-change", { repo, task: "Add a file", allow_dirty: true });
    expect(done.summary).toMatchObject({ status: "completed", output: { files: ["new.txt"] } });
    expect(await git(repo, "status", "--porcelain")).toBe(" M a.txt\n?? b.txt");
    await git(repo, "checkout", "--quiet", ".");
    await git(repo, "clean", "--quiet", "--force");
  });

  it("without a branch (detached HEAD) is worked on from its commit", async () => {
    await git(repo, "commit", "--quiet", "--allow-empty", "-m", "second");
    await git(repo, "checkout", "--quiet", "--detach", "HEAD~1");
    const head = await git(repo, "rev-parse", "HEAD");
    const done = await run(runner, "code-change", { repo, task: "Add a file to a detached HEAD" });
    expect(done.summary).toMatchObject({ status: "completed", output: { files: ["new.txt"] } });
    const { branch } = done.summary.output as { branch: string };
    expect(await git(repo, "rev-parse", `${branch}^`)).toBe(head);
    expect(await git(repo, "rev-parse", "--abbrev-ref", "HEAD")).toBe("HEAD");
    await git(repo, "checkout", "--quiet", "main");
  });

  it("that is bare is worked on as well", async () => {
    const bare = await play.remote(repo);
    const done = await run(runner, "code-change", { repo: bare, task: "Add a file to a bare one" });
    expect(done.summary).toMatchObject({ status: "completed", output: { files: ["new.txt"] } });
  });

  it("whose gates file is wrong fails the run by its place", async () => {
    const other = await play.repository("gates", { ".agent-runner/gates.yaml": "gates:\n  - nmae: x\n" });
    expect(await fails({ repo: other })).toMatch(/^invalid_gates .*gates\.yaml:2:/);
  });

  it("that disappears while a run waits fails that run, and only that", async () => {
    const gone = await play.repository("gone", { "a.txt": "1\n" });
    await runner.addWorkflow(`name: patient
version: "1"
description: Waits with a workspace.
inputs: { repo: { type: string, required: true } }
steps:
  - { id: workspace, uses: workspace, with: { repo: "\${{ inputs.repo }}", task: Wait } }
  - { id: wait, uses: wait, needs: workspace, with: { signal: go } }
  - { id: commit, uses: commit, needs: wait, with: { workspace: "\${{ steps.workspace.outputs }}" } }
`);
    const { id } = await runner.start("patient", { repo: gone });
    for await (const fact of runner.facts(id)) if (fact.kind === "step_waiting") break;
    await rm(gone, { recursive: true, force: true });
    await runner.signal(id, "go");
    const done = await ended(runner, id);
    expect(done.summary).toMatchObject({ status: "failed", failure: { code: "not_found" } });
    expect(done.summary.failure?.message).toContain("is gone");
  });

  // The PATH that goes is this process's own.
  it.skipIf(FLOW_WORKERS > 0)("without git fails by name, and works again when git is there", async () => {
    const { PATH } = process.env;
    mkdirSync(play.path("no-programs"));
    const lost = await play.runner({ words, dataDir: play.path("data-without-git") });
    process.env.PATH = play.path("no-programs");
    const done = await run(lost, "code-change", { repo, task: "Add a file" }).finally(() => {
      process.env.PATH = PATH;
    });
    expect(done.summary).toMatchObject({ status: "failed", failure: { code: "git_missing" } });
    await lost.close();
    const found = await play.runner({ words, dataDir: play.path("data-without-git") });
    const again = await run(found, "code-change", { repo, task: "Add a file with git" });
    expect(again.summary.status).toBe("completed");
  });
});

describe("files that are not text, or too large", () => {
  const play = new Playground();
  afterAll(() => play.close());

  it("are told to the agent as they are, kept whole in the commit, and in a patch that git takes", async () => {
    const line = `${"all work and no play ".repeat(20)}\n`;
    const repo = await play.repository("repo", {
      "picture.bin": Buffer.concat([Buffer.from("PNG\u0000\u0001"), randomBytes(40_000)]),
      "latin1.txt": Buffer.from([0x66, 0xfc, 0x72, 0x0a]),
      "huge.txt": line.repeat(80_000),
      "change.mjs": `import { readFileSync, writeFileSync } from "node:fs";
const picture = readFileSync("picture.bin");
picture[7] ^= 255;
writeFileSync("picture.bin", picture);
writeFileSync("other.bin", Uint8Array.from({ length: 5_000 }, (_, n) => (n * 7) % 256));
`,
    });
    const runner = await play.runner({
      words: {
        agents: {
          implement: [
            {
              tool_calls: [
                { name: "read", input: { path: "picture.bin" } },
                { name: "read", input: { path: "latin1.txt" } },
                { name: "read", input: { path: "huge.txt" } },
                { name: "search", input: { pattern: "no play", literal: true } },
              ],
            },
            {
              expect: { tool_result_contains: ["picture.bin", "latin1.txt", "huge.txt"] },
              tool_calls: [{ name: "bash", input: { command: "node change.mjs" } }],
            },
            { tool_calls: [{ name: "finish", input: { outcome: "done", summary: "One byte changed." } }] },
          ],
        },
      },
    });
    const done = await run(runner, "code-change", { repo, task: "Change a picture" });
    expect(done.summary.failure).toBeNull();
    expect(done.summary.output).toMatchObject({ files: ["other.bin", "picture.bin"] });
    const results = factsOf(done.facts, "effect_recorded", "change").filter(({ key }) =>
      /^turn:1\/tool/.test(key),
    );
    expect(results).toHaveLength(4);
    for (const { result } of results) expect(JSON.stringify(result).length).toBeLessThan(60_000);
    const record = await runRecord(runner, done);
    expect(record.files_modified).toEqual(["other.bin", "picture.bin"]);
    writeFiles(play.root, { "diff.patch": await artifactText(runner, done, "diff.patch") });
    await git(repo, "apply", "--index", play.path("diff.patch"));
    const { branch } = done.summary.output as { branch: string };
    expect(await git(repo, "write-tree")).toBe(await git(repo, "rev-parse", `${branch}^{tree}`));
  });
});
