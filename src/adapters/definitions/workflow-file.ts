import { createHash } from "node:crypto";
import { canonicalJson, type Json, type JsonObject } from "../../base/json.ts";
import type { Action, Actions } from "../../contracts/action.ts";
import type { Diagnostic, Parsed } from "../../contracts/definitions.ts";
import { ERRORS, type ErrorCode, failure } from "../../domain/errors.ts";
import { ancestors, checkGraph } from "../../domain/graph.ts";
import { LIMITS } from "../../domain/limits.ts";
import { parseUsd } from "../../domain/money.ts";
import { collectExpressions, type References } from "../../domain/template.ts";
import type { Expressions, Workflow } from "../../domain/workflow.ts";
import { checkExpression, type Known } from "./expression-check.ts";
import { type InputSchema, readInputs } from "./input-schema.ts";
import { type Bare, bareExpression, milliseconds, type ReadStep, readStep } from "./normalise.ts";
import { newReport, type Path, type Places, type Report } from "./report.ts";
import { type WorkflowShape, workflowShape } from "./shape.ts";
import { diagnosticLine, sourceText } from "./source.ts";
import { readTriggers } from "./triggers.ts";
import type { WithCheck } from "./with-check.ts";
import { readYaml } from "./yaml.ts";
import { zodProblems } from "./zod-problems.ts";

export interface WorkflowReader {
  readonly actions: Actions;
  readonly expressions: Expressions & References;
  readonly withCheck: WithCheck;
}

const NO_INPUTS: JsonObject = { type: "object", properties: {}, additionalProperties: false };

export function parseWorkflowFile(text: string, file: string, reader: WorkflowReader): Parsed<Workflow> {
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.workflowBytes) {
    const message = `the file has ${bytes} bytes`;
    const expected = `at most ${LIMITS.workflowBytes}`;
    return refused([{ file, line: 1, column: 1, path: "", message, expected }], "invalid_workflow");
  }
  let places: Places | null = null;
  const report = newReport(file, sourceText(text), () => places);
  const document = readYaml(text, 0, report);
  if (document === null) return refused(report.errors, "invalid_workflow");
  places = document.places;
  const shape = workflowShape.safeParse(document.value);
  if (!shape.success) {
    for (const problem of zodProblems(shape.error, document.value, workflowShape)) report.error(problem);
    // Unknown actions are told with everything else: they need no whole shape.
    reportUnknownActions(document.value, reader.actions, report);
    return refused(report.errors, "invalid_workflow");
  }
  const version = places.written(["version"]) ?? String(shape.data.version);
  const workflow = readWorkflow({ ...shape.data, version }, reader, report);
  if (workflow === null || report.errors.length > 0) return refused(report.errors, "invalid_workflow");
  return { ok: true, value: workflow, warnings: report.warnings };
}

export function refused(
  diagnostics: readonly Diagnostic[],
  code: ErrorCode & `invalid_${string}`,
): Parsed<never> {
  const [first] = diagnostics;
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
  const message = first === undefined ? ERRORS[code].remedy : `${diagnosticLine(first)}${more}`;
  const details = diagnostics.map((diagnostic) => ({ ...diagnostic }));
  return { ok: false, diagnostics, failure: failure(code, message, { diagnostics: details }) };
}

function reportUnknownActions(value: Json, actions: Actions, report: Report): void {
  const steps = (value as { readonly steps?: Json } | null)?.steps;
  if (!Array.isArray(steps)) return;
  for (const [index, step] of (steps as readonly Json[]).entries()) {
    const uses = (step as { readonly uses?: Json } | null)?.uses;
    if (typeof uses === "string") actionOf(uses, ["steps", index, "uses"], { actions, report });
  }
}

function actionOf(
  name: string,
  path: Path,
  in_: { readonly actions: Actions; readonly report: Report },
): Action | null {
  const action = in_.actions.get(name);
  if (action !== null) return action;
  const candidates = in_.actions.list().map((known) => known.name);
  const expected = `one of ${candidates.join(", ")}`;
  in_.report.error({ path, message: `there is no action \`${name}\``, expected, name, candidates });
  return null;
}

interface Read {
  readonly steps: readonly (ReadStep & { readonly action: Action | null; readonly path: Path })[];
  readonly inputs: InputSchema | null;
  readonly outputs: readonly { readonly name: string; readonly path: Path; readonly bare: Bare }[];
}

function readWorkflow(
  shape: WorkflowShape & { readonly version: string },
  reader: WorkflowReader,
  report: Report,
): Workflow | null {
  const inputs = shape.inputs === undefined ? null : readInputs(shape.inputs as JsonObject, report);
  const steps = shape.steps.map((written, index) => {
    const path = ["steps", index];
    const action = actionOf(written.uses, [...path, "uses"], { actions: reader.actions, report });
    return { ...readStep(written, path, report), action, path };
  });
  const outputs = Object.entries(shape.outputs ?? {}).flatMap(([name, written]) => {
    const path = ["outputs", name];
    const bare = bareExpression(written, path, report);
    return bare === null ? [] : [{ name, path, bare }];
  });
  const specs = steps.map((step) => step.spec);
  for (const issue of checkGraph(specs, reader.expressions)) {
    report.error({ ...issue, path: ["steps", ...issue.path] });
  }
  warnOfCodes(steps, report);
  const withInputs = shape.inputs === undefined || inputs !== null;
  checkSteps({ steps, inputs, outputs }, { reader, report, withInputs });
  checkConcurrency(shape, withInputs ? (inputs?.schema ?? NO_INPUTS) : {}, { reader, report });
  const triggers = readTriggers(shape.on, withInputs ? (inputs?.schema ?? NO_INPUTS) : null, report);
  if (report.errors.length > 0) return null;
  return hashed({
    name: shape.name,
    version: shape.version,
    description: shape.description,
    ...(shape.examples === undefined || shape.examples.length === 0 ? {} : { examples: shape.examples }),
    ...(triggers.length === 0 ? {} : { triggers }),
    inputs: inputs?.schema ?? NO_INPUTS,
    outputs: Object.fromEntries(outputs.map(({ name, bare }) => [name, bare.expression])),
    ...(shape.timeout === undefined ? {} : { timeoutMs: milliseconds(shape.timeout) }),
    ...budgetOf(shape.budget),
    maxParallel: shape.max_parallel ?? LIMITS.runParallelSteps,
    ...placementFields(shape),
    steps: specs,
  });
}

/** `runs_on` and `concurrency`, short forms spelled out; left out when they are not there, so that old hashes stay. */
function placementFields(shape: WorkflowShape): Pick<Workflow, "runsOn" | "concurrency"> {
  const { runs_on: runsOn, concurrency } = shape;
  const labels = typeof runsOn === "string" ? [runsOn] : runsOn;
  const long = typeof concurrency === "number" ? { limit: concurrency } : concurrency;
  return {
    ...(labels === undefined ? {} : { runsOn: [...new Set(labels)].sort() }),
    ...(long === undefined
      ? {}
      : {
          concurrency: {
            key: long.key ?? null,
            limit: long.limit ?? 1,
            onConflict: long.on_conflict ?? "queue",
          },
        }),
  };
}

/** The key is filled in when the run is admitted: it may mention the inputs and the run, and no step has ended then. */
function checkConcurrency(
  { concurrency }: WorkflowShape,
  inputs: JsonObject,
  { reader, report }: { readonly reader: WorkflowReader; readonly report: Report },
): void {
  const key = typeof concurrency === "object" ? concurrency.key : undefined;
  if (key === undefined) return;
  const known: Known = { expressions: reader.expressions, inputs, steps: new Map(), ancestors: new Map() };
  const path = ["concurrency", "key"];
  for (const found of collectExpressions(key)) {
    if (!found.ok) {
      report.error({ path, message: found.message, at: found.offset, expected: "`${{ … }}`" });
      continue;
    }
    checkExpression({ expression: found.expression, path, at: found.offset, also: [] }, known, report);
  }
}

function budgetOf(written: WorkflowShape["budget"]): Pick<Workflow, "budgetMicros"> {
  if (written === undefined) return {};
  const micros = parseUsd(typeof written === "object" ? written.cost : written);
  return micros === null ? {} : { budgetMicros: micros };
}

/** The hash covers the meaning, not the writing: comments, order of keys and short forms do not change it. */
function hashed(definition: Omit<Workflow, "hash">): Workflow {
  const canonical = canonicalJson(definition as unknown as Json);
  return { ...definition, hash: createHash("sha256").update(canonical).digest("hex") };
}

function warnOfCodes(steps: Read["steps"], report: Report): void {
  const candidates = Object.keys(ERRORS);
  for (const { spec, path } of steps) {
    for (const [at, code] of (spec.retry.retryable ?? []).entries()) {
      if (Object.hasOwn(ERRORS, code)) continue;
      const message = `\`${code}\` is not an error code of agent-runner; it has an effect only if an action brings it`;
      report.warn({ path: [...path, "retry", "on", at], message, name: code, candidates });
    }
  }
}

function checkSteps(
  read: Read,
  with_: { readonly reader: WorkflowReader; readonly report: Report; readonly withInputs: boolean },
): void {
  const { reader, report } = with_;
  const known: Known = {
    expressions: reader.expressions,
    inputs: with_.withInputs ? (read.inputs?.schema ?? NO_INPUTS) : {},
    steps: new Map(read.steps.map((step) => [step.spec.id, step])),
    ancestors: ancestors(read.steps.map((step) => step.spec)),
  };
  for (const step of read.steps) {
    const path = [...step.path, "with"];
    if (step.action !== null) reader.withCheck.check(step.spec.with, { action: step.action, path, report });
    checkStepExpressions(step, known, report);
  }
  for (const { path, bare } of read.outputs) {
    checkExpression({ expression: bare.expression, path, at: bare.at, also: [] }, known, report);
  }
}

function checkStepExpressions(step: Read["steps"][number], known: Known, report: Report): void {
  const { spec } = step;
  const member = spec.foreach === undefined ? [] : (["item", "index"] as const);
  for (const { part, path, bare } of step.bare) {
    const also = part === "outputs" ? (["result"] as const) : [];
    checkExpression({ expression: bare.expression, path, at: bare.at, also, step: spec.id }, known, report);
  }
  for (const found of collectExpressions(spec.with)) {
    const path = [...step.path, "with", ...found.path];
    if (!found.ok) {
      report.error({ path, message: found.message, at: found.offset, expected: "`${{ … }}`" });
      continue;
    }
    checkExpression(
      { expression: found.expression, path, at: found.offset, also: member, step: spec.id },
      known,
      report,
    );
  }
}
