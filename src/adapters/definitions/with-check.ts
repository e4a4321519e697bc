import type { ValidateFunction } from "ajv/dist/2020.js";
import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import type { Action } from "../../contracts/action.ts";
import { parseTemplate } from "../../domain/template.ts";
import { compileSchema, valueProblems } from "./json-schema.ts";
import type { Path, Problem, Report } from "./report.ts";

/** Checks the arguments of steps against the input schemas of their actions. */
export interface WithCheck {
  check(
    arguments_: JsonObject,
    call: { readonly action: Action; readonly path: Path; readonly report: Report },
  ): void;
}

export function createWithCheck(): WithCheck {
  const validators = new Map<string, ValidateFunction | null>();
  const validatorOf = (action: Action, report: Report, path: Path): ValidateFunction | null => {
    const known = validators.get(action.name);
    if (known !== undefined) return known;
    const compiled = compileSchema(action.input, { defaults: false });
    if (!compiled.ok) {
      const message = `the input schema of \`${action.name}\` is not usable: ${compiled.message}; arguments are not checked`;
      report.warn({ path, message });
    }
    const validator = compiled.ok ? compiled.validate : null;
    validators.set(action.name, validator);
    return validator;
  };
  return {
    check(arguments_, { action, path, report }) {
      const validate = validatorOf(action, report, path);
      if (validate === null) return;
      for (const problem of valueProblems(validate, arguments_)) {
        if (mayStillFit(problem, arguments_)) continue;
        report.error({ ...problem, path: [...path, ...problem.path] });
      }
    },
  };
}

/** Whether an expression decides if this problem is one: its value is not known before the run. */
function mayStillFit(problem: Problem, arguments_: JsonObject): boolean {
  let at: Json | undefined = arguments_;
  for (const key of problem.path) {
    if (isWhole(at)) return true;
    at = memberOf(at, key);
  }
  // A missing or unknown member stays one, whatever the expressions beside it yield.
  if (at === undefined || problem.atKey === true) return false;
  return holdsExpression(at);
}

function memberOf(value: Json | undefined, key: string | number): Json | undefined {
  if (Array.isArray(value)) return (value as readonly Json[])[Number(key)];
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isWhole(value: Json | undefined): boolean {
  if (typeof value !== "string") return false;
  const template = parseTemplate(value);
  return template.ok && template.whole;
}

function holdsExpression(value: Json): boolean {
  if (typeof value === "string") return value.includes("${{");
  if (Array.isArray(value)) return value.some(holdsExpression);
  return isJsonObject(value) && Object.values(value).some(holdsExpression);
}
