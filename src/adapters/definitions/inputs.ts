import type { ValidateFunction } from "ajv/dist/2020.js";
import { type Json, jsonDepth } from "../../base/json.ts";
import { nearest } from "../../base/text.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Workflow } from "../../domain/workflow.ts";
import { compileSchema, valueProblems } from "./json-schema.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { Problem } from "./report.ts";
import { dotted } from "./source.ts";

/** By workflow hash, oldest first: compiling is dear, and a hash never changes its meaning. */
const compiled = new Map<string, ValidateFunction>();

const SHOWN_PROBLEMS = 10;

/**
 * The inputs with defaults filled in, or `invalid_input` that names every wrong field, what was expected and the
 * nearest name. What is passed in is not changed.
 */
export function checkInputs(workflow: Workflow, inputs: Json): Result<Json> {
  if (jsonDepth(inputs, LIMITS.jsonDepth) > LIMITS.jsonDepth) {
    return fail("invalid_input", `the inputs are nested deeper than ${LIMITS.jsonDepth} levels`);
  }
  const bytes = Buffer.byteLength(JSON.stringify(inputs));
  if (bytes > LIMITS.requestBytes) {
    const message = `the inputs have ${bytes} bytes; at most ${LIMITS.requestBytes} are accepted`;
    return fail("payload_too_large", message);
  }
  const schema = validatorOf(workflow);
  if (!schema.ok) return schema;
  const value = structuredClone(inputs);
  const problems = valueProblems(schema.value, value);
  if (problems.length === 0) return ok(value);
  const shown = problems.slice(0, SHOWN_PROBLEMS).map(sentence);
  const more = problems.length > shown.length ? `; and ${problems.length - shown.length} more` : "";
  const message = `inputs of \`${workflow.name}\`: ${shown.join("; ")}${more}`;
  return fail("invalid_input", message, { problems: problems.slice(0, SHOWN_PROBLEMS).map(plain) });
}

function validatorOf(workflow: Workflow): Result<ValidateFunction> {
  const known = compiled.get(workflow.hash);
  if (known !== undefined) return ok(known);
  const fresh = compileSchema(workflow.inputs, { defaults: true });
  if (!fresh.ok)
    return fail("invalid_workflow", `the inputs schema of \`${workflow.name}\`: ${fresh.message}`);
  if (compiled.size >= DEFINITION_LIMITS.cachedSchemas) compiled.delete(compiled.keys().next().value ?? "");
  compiled.set(workflow.hash, fresh.validate);
  return ok(fresh.validate);
}

function meant(problem: Problem): string | null {
  return problem.name === undefined ? null : nearest(problem.name, problem.candidates ?? []);
}

function sentence(problem: Problem): string {
  const where = problem.path.length === 0 ? "" : `\`${dotted(problem.path)}\`: `;
  const wanted = problem.expected === undefined ? "" : `, expected ${problem.expected}`;
  const near = meant(problem);
  return `${where}${problem.message}${wanted}${near === null ? "" : ` (did you mean \`${near}\`?)`}`;
}

function plain(problem: Problem): Json {
  const near = meant(problem);
  return {
    path: dotted(problem.path),
    message: problem.message,
    ...(problem.expected === undefined ? {} : { expected: problem.expected }),
    ...(near === null ? {} : { suggestion: near }),
  };
}
