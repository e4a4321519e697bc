import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import type { Action } from "../../contracts/action.ts";
import type { Reference, References } from "../../domain/template.ts";
import type { Expressions, StepSpec } from "../../domain/workflow.ts";
import type { Path, Report } from "./report.ts";

/** Where an expression is written, and what it may mention there. */
export interface Written {
  readonly expression: string;
  readonly path: Path;
  /** 0-based offset of the expression in the text at `path`. */
  readonly at: number;
  /** Variables beside `inputs`, `run` and `steps`. */
  readonly also: readonly ("item" | "index" | "result")[];
  /** The step it belongs to; absent for the outputs of the workflow, which may see every step. */
  readonly step?: string;
}

export interface Known {
  readonly expressions: Expressions & References;
  readonly inputs: JsonObject;
  readonly steps: ReadonlyMap<string, { readonly spec: StepSpec; readonly action: Action | null }>;
  readonly ancestors: ReadonlyMap<string, ReadonlySet<string>>;
}

const RUN_KEYS = ["id", "workflow", "tenant"];
const STEP_KEYS = ["status", "outputs", "error"];

type Segment = Reference["segments"][number];

/** Reports an expression that is malformed, or that mentions what cannot be there. */
export function checkExpression(written: Written, known: Known, report: Report): void {
  const before = report.errors.length;
  for (const reference of known.expressions.references(written.expression)) {
    checkReference(reference, { written, known, report });
  }
  if (report.errors.length > before) return;
  const wrong = known.expressions.check(written.expression);
  if (wrong === null) return;
  report.error({
    path: written.path,
    message: wrong.message,
    at: written.at + wrong.offset,
    expected: "an expression",
  });
}

interface Check {
  readonly written: Written;
  readonly known: Known;
  readonly report: Report;
}

function checkReference(reference: Reference, check: Check): void {
  const [root, ...rest] = reference.segments;
  if (root === undefined) return;
  const variables = ["inputs", "run", "steps", ...check.written.also];
  if (!variables.includes(root.name)) {
    const elsewhere = ELSEWHERE[root.name];
    const message = elsewhere ?? `there is no variable \`${root.name}\``;
    complain(check, root, { message, candidates: elsewhere === undefined ? variables : [] });
  } else if (root.name === "run") {
    checkKey(rest[0], { check, owner: "`run`", candidates: RUN_KEYS });
  } else if (root.name === "inputs") {
    checkSchemaPath(rest, { check, owner: "inputs", schema: check.known.inputs });
  } else if (root.name === "steps") {
    checkStep(rest, check);
  }
}

const ELSEWHERE: Readonly<Record<string, string>> = {
  item: "`item` is only there in the `with` of a step with `foreach`",
  index: "`index` is only there in the `with` of a step with `foreach`",
  result: "`result` is only there in the `outputs` of a step",
};

function complain(
  check: Check,
  segment: Segment,
  problem: { readonly message: string; readonly candidates: readonly string[] },
): void {
  const { written, report } = check;
  const { message, candidates } = problem;
  const expected = candidates.length === 0 ? undefined : `one of ${candidates.join(", ")}`;
  report.error({
    path: written.path,
    at: written.at + segment.offset,
    message,
    expected,
    name: segment.name,
    candidates,
  });
}

function checkKey(
  segment: Segment | undefined,
  of: { readonly check: Check; readonly owner: string; readonly candidates: readonly string[] },
): void {
  if (segment === undefined || of.candidates.includes(segment.name)) return;
  complain(of.check, segment, {
    message: `${of.owner} has no \`${segment.name}\``,
    candidates: of.candidates,
  });
}

/** Follows keys into a schema for as long as it says which keys there are. A key that cannot be there is a mistake even behind `.?`. */
function checkSchemaPath(
  segments: readonly Segment[],
  of: {
    readonly check: Check;
    readonly owner: string;
    readonly schema: Json | undefined;
  },
): void {
  let schema = of.schema;
  let owner = of.owner;
  for (const segment of segments) {
    if (!isJsonObject(schema) || !isJsonObject(schema.properties) || schema.additionalProperties !== false)
      return;
    if (schema.anyOf !== undefined || schema.oneOf !== undefined || schema.allOf !== undefined) return;
    if (schema.patternProperties !== undefined) return;
    const candidates = Object.keys(schema.properties);
    if (!candidates.includes(segment.name)) {
      complain(of.check, segment, { message: `\`${owner}\` has no \`${segment.name}\``, candidates });
      return;
    }
    schema = schema.properties[segment.name];
    owner = `${owner}.${segment.name}`;
  }
}

function checkStep(segments: readonly Segment[], check: Check): void {
  const [id, part, ...rest] = segments;
  const { known, written } = check;
  if (id === undefined) return;
  const step = known.steps.get(id.name);
  if (step === undefined) {
    const others = [...known.steps.keys()].filter((other) => other !== written.step);
    complain(check, id, { message: `there is no step \`${id.name}\``, candidates: others });
    return;
  }
  if (written.step !== undefined && known.ancestors.get(written.step)?.has(id.name) !== true) {
    const message =
      id.name === written.step
        ? `step \`${id.name}\` has not ended here`
        : `step \`${id.name}\` may not have ended here: \`${written.step}\` does not need it`;
    complain(check, id, { message, candidates: [] });
    return;
  }
  checkKey(part, { check, owner: `\`steps.${id.name}\``, candidates: STEP_KEYS });
  if (part?.name === "outputs" && step.spec.foreach === undefined)
    checkOutputs(rest, { check, id: id.name, step });
}

function checkOutputs(
  segments: readonly Segment[],
  of: {
    readonly check: Check;
    readonly id: string;
    readonly step: { readonly spec: StepSpec; readonly action: Action | null };
  },
): void {
  const owner = `steps.${of.id}.outputs`;
  const { spec, action } = of.step;
  if (spec.outputs !== undefined) {
    checkKey(segments[0], { check: of.check, owner: `\`${owner}\``, candidates: Object.keys(spec.outputs) });
  } else if (action !== null) {
    checkSchemaPath(segments, { check: of.check, owner, schema: action.output });
  }
}
