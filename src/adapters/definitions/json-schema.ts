import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { Path, Problem } from "./report.ts";
import { show } from "./zod-problems.ts";

/** A validator of JSON Schema 2020-12 that fills defaults, tells every error and never prints. */
function newAjv(options: { readonly useDefaults: boolean; readonly meta: boolean }): Ajv2020 {
  return new Ajv2020({
    strict: false,
    allErrors: true,
    verbose: true,
    validateFormats: false,
    addUsedSchema: false,
    logger: false,
    code: { regExp: boundedRegExp },
    useDefaults: options.useDefaults,
    // Compiling the schema of schemas is dear: one instance does it for all.
    meta: options.meta,
    validateSchema: options.meta,
  });
}

/** A pattern is tried on short texts only: its time grows with a power of their length. */
const boundedRegExp = Object.assign(
  (pattern: string, flags: string) => {
    const expression = new RegExp(pattern, flags);
    return {
      // The library tells patterns apart by their texts.
      toString: () => expression.toString(),
      test(text: string): boolean {
        if (text.length <= DEFINITION_LIMITS.patternTextChars) return expression.test(text);
        throw new Error(
          `a text of ${text.length} characters is compared with a pattern; ${DEFINITION_LIMITS.patternTextChars} are the most`,
        );
      },
    };
  },
  { code: "boundedRegExp" },
);

const meta = newAjv({ useDefaults: false, meta: true });

/** What is wrong with a schema as such; `[]` when it is a valid one. */
export function schemaProblems(schema: JsonObject): readonly Problem[] {
  if (meta.validateSchema(schema) === true) return [];
  return narrow(meta.errors ?? []).map(problemOf);
}

export type CompiledSchema =
  | { readonly ok: true; readonly validate: ValidateFunction }
  | { readonly ok: false; readonly message: string };

/** Expects a valid schema. `defaults`: absent members are filled in, in the value that is validated. */
export function compileSchema(schema: JsonObject, options: { readonly defaults: boolean }): CompiledSchema {
  try {
    const ajv = newAjv({ useDefaults: options.defaults, meta: false });
    return { ok: true, validate: ajv.compile(schema) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** What is wrong with a value. A validator that gives up (nesting, a bad pattern) is a problem like others. */
export function valueProblems(validate: ValidateFunction, value: unknown): readonly Problem[] {
  try {
    if (validate(value)) return [];
  } catch (error) {
    const message = `the value cannot be checked: ${error instanceof Error ? error.message : String(error)}`;
    return [{ path: [], message }];
  }
  return narrow(validate.errors ?? []).map(problemOf);
}

/** Errors of the branches of an `anyOf` say the same thing several times; its own error says it once. */
function narrow(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const unions = errors.filter((error) => error.keyword === "anyOf" || error.keyword === "oneOf");
  return errors.filter(
    (error) =>
      error.keyword !== "if" &&
      !unions.some((union) => error !== union && error.schemaPath.startsWith(`${union.schemaPath}/`)),
  );
}

function problemOf(error: ErrorObject): Problem {
  const path = pathOf(error.instancePath);
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case "required": {
      const missing = String(params.missingProperty);
      const expected = expectedOf(memberSchema(error.parentSchema, missing));
      return { path: [...path, missing], message: `\`${missing}\` is missing`, expected };
    }
    case "additionalProperties":
    case "unevaluatedProperties": {
      const key = String(params.additionalProperty ?? params.unevaluatedProperty);
      const candidates = Object.keys(asObject(error.parentSchema?.properties));
      const expected = candidates.length === 0 ? "no members" : `one of ${candidates.join(", ")}`;
      return {
        path: [...path, key],
        message: `there is no field \`${key}\` here`,
        expected,
        name: key,
        candidates,
        atKey: true,
      };
    }
    case "enum": {
      const candidates = (params.allowedValues as readonly unknown[]).map(String);
      const written = typeof error.data === "string" ? { name: error.data, candidates } : {};
      return {
        path,
        message: `${show(error.data)} is not allowed`,
        expected: expectedOf(error.parentSchema),
        ...written,
      };
    }
    case "type":
    case "anyOf":
    case "oneOf":
    case "const":
      return {
        path,
        message: `${show(error.data)} is not allowed`,
        expected: expectedOf(error.parentSchema),
      };
    default:
      return { path, message: `${show(error.data)} ${error.message ?? "is not valid"}` };
  }
}

function pathOf(instancePath: string): Path {
  const keys = instancePath.split("/").slice(1);
  return keys.map((key) => {
    const text = key.replaceAll("~1", "/").replaceAll("~0", "~");
    return /^\d+$/.test(text) ? Number(text) : text;
  });
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function memberSchema(schema: unknown, key: string): Json | undefined {
  const members = asObject(asObject(schema).properties);
  return Object.hasOwn(members, key) ? members[key] : undefined;
}

const SHOWN_FORMS = 4;

/** A schema in a few words: "a text", "one of a, b", "a list of a whole number". */
function expectedOf(schema: unknown): string | undefined {
  if (!isJsonObject(schema)) return undefined;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return `one of ${schema.enum.map(String).join(", ")}`;
  const forms = [schema.anyOf, schema.oneOf].find((list): list is readonly Json[] => Array.isArray(list));
  if (forms !== undefined) {
    const words = forms.map(expectedOf).filter((word) => word !== undefined);
    return words.length === 0 ? undefined : words.slice(0, SHOWN_FORMS).join(", or ");
  }
  const types: readonly unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
  const words = types.map((type) => typeWord(type, schema)).filter((word) => word !== undefined);
  return words.length === 0 ? undefined : words.join(" or ");
}

function typeWord(type: unknown, schema: JsonObject): string | undefined {
  switch (type) {
    case "string":
      return "a text";
    case "integer":
      return "a whole number";
    case "number":
      return "a number";
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "array": {
      const items = expectedOf(schema.items);
      return items === undefined ? "a list" : `a list, each ${items}`;
    }
    case "object": {
      const keys = Object.keys(asObject(schema.properties));
      return keys.length === 0 ? "a mapping" : `a mapping with ${keys.join(", ")}`;
    }
    default:
      return undefined;
  }
}
