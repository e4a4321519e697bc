import { isJsonObject, type Json, type JsonObject } from "../base/json.ts";
import type { Fact } from "./fact.ts";
import type { RunStatus, StepStatus } from "./run.ts";
import { RUN_ARTIFACT_SCHEMA, RUN_ARTIFACT_VERSION, type RunArtifact } from "./run-artifact.ts";

type RunRecord = RunArtifact;

/** What the journal does not say. */
export interface RecordOptions {
  readonly run: string;
  readonly sandbox: string;
  readonly allowlistRoot: string | null;
  /** From git; `null` takes the files of the latest step that named some. */
  readonly filesModified: readonly string[] | null;
}

/** Failures that mean somebody tried what is forbidden. */
const VIOLATION_CODES = new Set(["workspace_escape", "secret_found"]);

interface Build {
  status: RunStatus;
  startedAt: number | null;
  endedAt: number | null;
  readonly steps: Map<string, RunRecord["steps"][number]>;
  readonly calls: RunRecord["model_calls"];
  readonly gates: Map<string, RunRecord["gates"]>;
  readonly artifacts: RunRecord["artifacts"];
  readonly children: Map<string, RunRecord["linkage"]["children"][number]>;
  readonly violations: RunRecord["security"]["violations"];
  readonly keptOut: string[];
  files: readonly string[];
  commit: RunRecord["commit"];
}

/** `run.json` from a journal: everything in it is a fact of the run. `null` for a journal without its first fact. */
export function runRecord(facts: readonly Fact[], options: RecordOptions): RunRecord | null {
  const queued = facts[0];
  if (queued?.kind !== "run_queued") return null;
  const { request } = queued;
  const build: Build = {
    status: "queued",
    startedAt: null,
    endedAt: null,
    steps: new Map(),
    calls: [],
    gates: new Map(),
    artifacts: [],
    children: new Map(),
    violations: [],
    keptOut: [],
    files: [],
    commit: null,
  };
  for (const fact of facts) {
    foldRun(build, fact);
    foldStep(build, fact);
    foldRest(build, fact);
  }
  return {
    schema: RUN_ARTIFACT_SCHEMA,
    version: RUN_ARTIFACT_VERSION,
    run: {
      id: options.run,
      title: request.title,
      tenant: request.tenant,
      status: build.status,
      created_at: queued.at,
      started_at: build.startedAt,
      ended_at: build.endedAt,
    },
    workflow: { ...request.workflow },
    inputs: request.inputs,
    steps: [...build.steps.values()],
    model_calls: build.calls,
    totals: totalsOf(build.calls),
    gates: [...build.gates.values()].flat(),
    files_modified: [...(options.filesModified ?? build.files)],
    commit: build.commit,
    artifacts: build.artifacts,
    linkage: {
      parent: request.parent && { run: request.parent.run, step: request.parent.step },
      children: [...build.children.values()],
    },
    security: {
      sandbox: options.sandbox,
      // Nothing is staged yet: tools write straight into the run's own worktree.
      guarded_write: false,
      allowlist_root: options.allowlistRoot,
      kept_out: build.keptOut,
      violations: build.violations,
    },
  };
}

function foldRun(build: Build, fact: Fact): void {
  switch (fact.kind) {
    case "run_started":
      build.status = "running";
      build.startedAt ??= fact.at;
      return;
    case "run_completed":
    case "run_failed":
    case "run_canceled":
      build.status =
        fact.kind === "run_completed" ? "completed" : fact.kind === "run_failed" ? "failed" : "canceled";
      build.endedAt = fact.at;
  }
}

function foldStep(build: Build, fact: Fact): void {
  switch (fact.kind) {
    case "step_started":
      touch(build, fact.step, { status: "running", attempts: fact.attempt, at: fact.at });
      return;
    case "step_waiting":
      touch(build, fact.step, { status: "waiting" });
      return;
    case "step_woken":
      touch(build, fact.step, { status: "running" });
      return;
    case "step_succeeded":
      touch(build, fact.step, { status: "succeeded", ended: fact.at });
      readOutput(build, fact.step, fact.output);
      return;
    case "step_failed": {
      const { code, message, retryable } = fact.failure;
      touch(build, fact.step, { status: "failed", ended: fact.at, failure: { code, message, retryable } });
      if (VIOLATION_CODES.has(code)) build.violations.push({ step: fact.step, kind: code, message });
      if (isJsonObject(fact.failure.details)) readVerdict(build, fact.step, fact.failure.details.verdict);
      return;
    }
    case "step_skipped":
      touch(build, fact.step, { status: "skipped", ended: fact.at });
      return;
    case "step_canceled":
      touch(build, fact.step, { status: "canceled", ended: fact.at });
  }
}

function foldRest(build: Build, fact: Fact): void {
  switch (fact.kind) {
    case "effect_recorded": {
      const { result } = fact;
      const record = result.ok ? recordIn(result.value) : recordIn(result.failure.details);
      if (record !== null)
        build.calls.push({ ...record, step: fact.step, attempt: fact.attempt, key: fact.key, ok: result.ok });
      return;
    }
    case "noted":
      if (fact.name === "call_refused") {
        const message = `${textOf(fact.data.tool)}: ${textOf(fact.data.reason)}`;
        build.violations.push({ step: fact.step, kind: "call_refused", message });
      }
      return;
    case "child_started":
      build.children.set(fact.run, {
        run: fact.run,
        step: fact.step,
        workflow: fact.workflow,
        status: "started",
      });
      return;
    case "child_ended": {
      const child = build.children.get(fact.run);
      if (child) build.children.set(fact.run, { ...child, status: fact.status });
      return;
    }
    case "artifact_saved": {
      const { id, name, kind, mediaType, bytes, sha256 } = fact.artifact;
      build.artifacts.push({ id, name, kind, media_type: mediaType, bytes, sha256 });
    }
  }
}

function touch(
  build: Build,
  id: string,
  news: {
    readonly status: StepStatus;
    readonly attempts?: number;
    readonly at?: number;
    readonly ended?: number;
    readonly failure?: RunRecord["steps"][number]["failure"];
  },
): void {
  const known = build.steps.get(id);
  build.steps.set(id, {
    id,
    status: news.status,
    attempts: news.attempts ?? known?.attempts ?? 0,
    started_at: known?.started_at ?? news.at ?? null,
    ended_at: news.ended ?? null,
    failure: news.failure ?? null,
  });
}

function readOutput(build: Build, step: string, output: Json): void {
  if (!isJsonObject(output)) return;
  readVerdict(build, step, output.verdict);
  if (Array.isArray(output.gates)) readVerdict(build, step, output);
  if (Array.isArray(output.files_modified)) build.files = output.files_modified.map(textOf);
  if (output.kind === "committed") {
    build.commit = {
      commit: textOf(output.commit),
      branch: textOf(output.branch),
      message: textOf(output.message),
    };
  }
  if (!Array.isArray(output.kept_out)) return;
  for (const kept of output.kept_out) if (isJsonObject(kept)) build.keptOut.push(textOf(kept.path));
}

function readVerdict(build: Build, step: string, verdict: Json | undefined): void {
  if (!isJsonObject(verdict) || !Array.isArray(verdict.gates)) return;
  const gates: RunRecord["gates"] = [];
  for (const gate of verdict.gates as readonly Json[]) {
    if (!isJsonObject(gate)) continue;
    gates.push({
      step,
      name: textOf(gate.name),
      required: gate.required === true,
      passed: gate.passed === true,
      exit_code: typeof gate.exit_code === "number" ? gate.exit_code : null,
      ms: numberOf(gate.ms),
    });
  }
  build.gates.set(step, gates);
}

type CallOf = Omit<RunRecord["model_calls"][number], "step" | "attempt" | "key" | "ok">;

/** The record of a model call inside an effect's outcome, if it was one. */
function recordIn(value: Json | undefined): CallOf | null {
  const record = isJsonObject(value) ? value.record : undefined;
  if (!isJsonObject(record) || !isJsonObject(record.usage) || typeof record.provider !== "string")
    return null;
  return {
    provider: record.provider,
    model: textOf(record.model),
    stage: textOf(record.stage),
    usage: usageOf(record.usage),
    cost_micros: typeof record.costMicros === "number" ? record.costMicros : null,
    ms: numberOf(record.ms),
  };
}

function usageOf(usage: JsonObject): RunRecord["totals"]["usage"] {
  return {
    input: numberOf(usage.input),
    cache_read: numberOf(usage.cacheRead),
    cache_write: numberOf(usage.cacheWrite),
    output: numberOf(usage.output),
    reasoning: numberOf(usage.reasoning),
  };
}

function totalsOf(calls: RunRecord["model_calls"]): RunRecord["totals"] {
  const usage = { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 };
  let cost = 0;
  let unknown = 0;
  for (const call of calls) {
    usage.input += call.usage.input;
    usage.cache_read += call.usage.cache_read;
    usage.cache_write += call.usage.cache_write;
    usage.output += call.usage.output;
    usage.reasoning += call.usage.reasoning;
    if (call.cost_micros === null) unknown += 1;
    else cost += call.cost_micros;
  }
  return { usage, cost_micros: unknown === 0 ? cost : null, calls_without_price: unknown };
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: Json | undefined): number {
  return typeof value === "number" ? value : 0;
}
