import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../base/json.ts";
import type { Fact, FactBody } from "./fact.ts";
import { runArtifactJsonSchema, validateRunArtifact } from "./run-artifact.ts";
import { runRecord } from "./run-record.ts";

const usage = { input: 1, cacheRead: 2, cacheWrite: 3, output: 4, reasoning: 5 };
const record = { provider: "p", model: "m", stage: "execute", usage, costMicros: 10, ms: 7 };
const failed = { code: "x", message: "no", retryable: false };
const verdict = {
  passed: false,
  tree_hash: "t",
  gates: [{ name: "test", required: true, passed: false, exit_code: 1, ms: 5 }, { name: "style" }, "odd"],
};

function queued(parent: { run: string; step: string; depth: number } | null = null): FactBody {
  const workflow = { name: "w", version: "1", hash: "h" };
  const base = { title: "T", tenant: "t", queue: "q", priority: 1, deadlineAt: null };
  return { kind: "run_queued", request: { workflow, inputs: { a: 1 }, parent, ...base } };
}

function journal(...bodies: readonly FactBody[]): Fact[] {
  return bodies.map((body, at) => ({ ...body, seq: at + 1, at: 100 + at }));
}

function recorded(
  key: string,
  result: { ok: true; value: unknown } | { ok: false; details: unknown },
): FactBody {
  const base = { step: "fix", attempt: 1, key, requestHash: "h", label: key, ms: 1 };
  const outcome = result.ok
    ? { ok: true as const, value: result.value as JsonObject }
    : { ok: false as const, failure: { ...failed, details: result.details as JsonObject } };
  return { kind: "effect_recorded", ...base, result: outcome };
}

const options = { run: "run_1", sandbox: "host", allowlistRoot: "/w", filesModified: null };

const LONG: readonly FactBody[] = [
  queued({ run: "run_0", step: "fan", depth: 1 }),
  { kind: "run_started", worker: "w" },
  { kind: "step_started", step: "fix", attempt: 1, input: null },
  recorded("turn:1/model", { ok: true, value: { record } }),
  recorded("turn:1/tool/0", { ok: true, value: { text: "x" } }),
  recorded("turn:2/model", { ok: false, details: { record: { ...record, costMicros: null } } }),
  recorded("odd", { ok: true, value: { record: { usage: 1 } } }),
  recorded("clock", { ok: true, value: 5 }),
  recorded("strange", { ok: true, value: { record: { usage: {} } } }),
  recorded("odder", { ok: true, value: { record: { usage: {}, provider: "p" } } }),
  { kind: "noted", step: "fix", name: "call_refused", data: { tool: "bash", reason: "denied" } },
  { kind: "noted", step: "fix", name: "turn_started", data: { turn: 1 } },
  { kind: "step_waiting", step: "fix", attempt: 1, waits: [] },
  { kind: "step_woken", step: "fix", attempt: 1, key: "k", by: "approval", signal: null },
  { kind: "step_started", step: "fix", attempt: 2, input: null },
  { kind: "step_succeeded", step: "fix", attempt: 2, output: { files_modified: ["a.ts"], verdict } },
  { kind: "step_succeeded", step: "plain", attempt: 1, output: "text" },
  { kind: "step_succeeded", step: "gates", attempt: 1, output: { gates: [], passed: true } },
  {
    kind: "step_succeeded",
    step: "commit",
    attempt: 1,
    output: { kind: "committed", commit: "c1", branch: "b", message: "M", kept_out: [{ path: ".env" }, 7] },
  },
  { kind: "step_failed", step: "leak", attempt: 1, failure: { ...failed, code: "secret_found" } },
  { kind: "step_failed", step: "red", attempt: 1, failure: { ...failed, details: { verdict } } },
  { kind: "step_skipped", step: "late", reason: "no" },
  { kind: "step_canceled", step: "gone", attempt: 1, reason: "no" },
  { kind: "child_started", step: "sub", key: "k", run: "run_2", workflow: "v" },
  { kind: "child_started", step: "sub", key: "l", run: "run_3", workflow: "v" },
  { kind: "child_ended", run: "run_2", status: "failed", output: null, failure: null },
  { kind: "child_ended", run: "run_9", status: "failed", output: null, failure: null },
  {
    kind: "artifact_saved",
    step: "report",
    artifact: { id: "a", name: "a", kind: "k", mediaType: "text/plain", bytes: 1, sha256: "s" },
  },
  { kind: "run_started", worker: "w2" },
];

describe("run.json", () => {
  it("is what the facts say", () => {
    const made = runRecord(journal(...LONG), options);
    expect(made).toMatchObject({
      run: { id: "run_1", title: "T", status: "running", created_at: 100, started_at: 101, ended_at: null },
      workflow: { name: "w", version: "1", hash: "h" },
      inputs: { a: 1 },
      model_calls: [
        { step: "fix", key: "turn:1/model", ok: true, cost_micros: 10, usage: { cache_read: 2 } },
        { step: "fix", key: "turn:2/model", ok: false, cost_micros: null },
        { key: "odder", model: "", ms: 0, usage: { input: 0 } },
      ],
      totals: { usage: { input: 2, reasoning: 10 }, cost_micros: null, calls_without_price: 2 },
      files_modified: ["a.ts"],
      commit: { commit: "c1", branch: "b", message: "M" },
      artifacts: [{ id: "a", media_type: "text/plain" }],
      linkage: {
        parent: { run: "run_0", step: "fan" },
        children: [
          { run: "run_2", status: "failed" },
          { run: "run_3", status: "started" },
        ],
      },
      security: {
        sandbox: "host",
        guarded_write: false,
        allowlist_root: "/w",
        kept_out: [".env"],
        violations: [
          { step: "fix", kind: "call_refused", message: "bash: denied" },
          { step: "leak", kind: "secret_found" },
        ],
      },
    });
    expect(made?.gates.map((gate) => `${gate.step}/${gate.name}/${gate.exit_code}`)).toEqual([
      "fix/test/1",
      "fix/style/null",
      "red/test/1",
      "red/style/null",
    ]);
    expect(made?.steps.map((step) => `${step.id} ${step.status} ${step.attempts}`)).toEqual([
      "fix succeeded 2",
      "plain succeeded 0",
      "gates succeeded 0",
      "commit succeeded 0",
      "leak failed 0",
      "red failed 0",
      "late skipped 0",
      "gone canceled 0",
    ]);
    expect(validateRunArtifact(JSON.parse(JSON.stringify(made)))).toMatchObject({ kind: "valid" });
  });

  it.each([
    ["run_completed", "completed"],
    ["run_failed", "failed"],
    ["run_canceled", "canceled"],
  ] as const)("knows the end of a run: %s", (kind, status) => {
    const end = { kind, output: null, failure: failed, reason: "r" } as unknown as FactBody;
    const made = runRecord(journal(queued(), end), { ...options, filesModified: ["b"] });
    expect(made).toMatchObject({
      run: { status, started_at: null, ended_at: 101 },
      linkage: { parent: null },
      files_modified: ["b"],
      totals: { cost_micros: 0 },
    });
  });

  it("is of a run: a journal without its first fact has none", () => {
    expect(runRecord([], options)).toBeNull();
    expect(runRecord(journal({ kind: "run_started", worker: "w" }), options)).toBeNull();
    expect(runRecord(journal(queued()), options)?.run.status).toBe("queued");
  });
});

describe("the check of a run.json", () => {
  const valid = runRecord(journal(queued()), options) as unknown as JsonObject;

  it("takes what we write", () => {
    expect(validateRunArtifact(valid)).toEqual({ kind: "valid", artifact: valid });
  });

  it.each([
    ["no object", 7, ""],
    ["a list", [], ""],
    ["another schema", { ...valid, schema: "x" }, "schema"],
    ["a newer version", { ...valid, version: 2 }, "version"],
    ["a bad field", { ...valid, run: { ...(valid.run as JsonObject), status: "odd" } }, "run.status"],
    ["an unknown field", { ...valid, more: 1 }, ""],
  ])("refuses %s and names the place", (_name, value, path) => {
    const checked = validateRunArtifact(value);
    expect(checked).toMatchObject({ kind: "invalid", problems: [{ path }] });
  });

  it("knows what is older than itself, and leaves it out when asked to", () => {
    const { schema: _, ...bare } = valid;
    expect(validateRunArtifact(bare)).toMatchObject({ kind: "legacy", ignored: false });
    expect(validateRunArtifact({ ...valid, version: 0 }, { ignoreLegacy: true })).toMatchObject({
      kind: "legacy",
      ignored: true,
    });
  });

  it("is published as a JSON Schema that is kept up to date", () => {
    const file = new URL("../../schemas/run.v1.schema.json", import.meta.url);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(
      JSON.parse(JSON.stringify(runArtifactJsonSchema())),
    );
  });
});
