import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import { compileSchema, schemaProblems, valueProblems } from "./json-schema.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { Path, Report } from "./report.ts";
import { INPUT_NAME } from "./shape.ts";

export interface InputSchema {
  readonly schema: JsonObject;
  /** Where the property schemas are written in the file. */
  readonly propertiesPath: Path;
}

/**
 * The `inputs` of a file as one JSON Schema of an object without other members. Written either as such
 * (`type: object`), or short: name → schema, where `required: true` marks what must be given.
 */
export function readInputs(written: JsonObject, report: Report): InputSchema | null {
  const full = written.type === "object";
  const propertiesPath = full ? ["inputs", "properties"] : ["inputs"];
  const errors = report.errors.length;
  const schema = full ? { additionalProperties: false, ...written } : fromShort(written, report);
  if (full && !isJsonObject(schema.properties ?? {})) {
    report.error({
      path: propertiesPath,
      message: "`properties` is not a mapping",
      expected: "name → schema",
    });
  }
  if (report.errors.length > errors) return null;
  const toFile = (path: Path): Path => (full ? ["inputs", ...path] : shortPath(path));
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  for (const name of Object.keys(properties)) {
    if (INPUT_NAME.test(name)) continue;
    const path = [...propertiesPath, name];
    const expected = "letters, digits and `_`, so that `inputs.<name>` is an expression";
    report.error({ path, message: `\`${name}\` cannot be the name of an input`, expected, atKey: true });
  }
  checkSchema(schema, { toFile, report });
  if (report.errors.length > errors) return null;
  checkDefaults(properties, propertiesPath, report);
  return report.errors.length > errors ? null : { schema, propertiesPath };
}

function fromShort(written: JsonObject, report: Report): JsonObject {
  const properties: [string, Json][] = [];
  const required: string[] = [];
  for (const [name, property] of Object.entries(written)) {
    if (!isJsonObject(property)) {
      const expected = "a JSON Schema, e.g. `{ type: string, required: true }`";
      report.error({ path: ["inputs", name], message: `the input \`${name}\` has no schema`, expected });
      continue;
    }
    const { required: flag, ...schema } = property;
    if (flag === true) required.push(name);
    properties.push([name, Array.isArray(flag) ? property : schema]);
    if (flag !== undefined && typeof flag !== "boolean" && !Array.isArray(flag)) {
      report.error({
        path: ["inputs", name, "required"],
        message: "`required` is neither",
        expected: "true or false",
      });
    }
  }
  const base = { type: "object", properties: Object.fromEntries(properties), additionalProperties: false };
  return required.length === 0 ? base : { ...base, required };
}

/** A place in the normalised schema as a place in the short form. */
function shortPath(path: Path): Path {
  return path[0] === "properties" ? ["inputs", ...path.slice(1)] : ["inputs"];
}

interface CheckSchema {
  readonly toFile: (path: Path) => Path;
  readonly report: Report;
}

function checkSchema(schema: JsonObject, check: CheckSchema): void {
  const { toFile, report } = check;
  const before = report.errors.length;
  for (const problem of schemaProblems(schema)) report.error({ ...problem, path: toFile(problem.path) });
  const walk = { ...check, nodes: 0 };
  walkSchema(schema, [], walk);
  if (walk.nodes > DEFINITION_LIMITS.schemaNodes) {
    const message = `the schema of the inputs has more than ${DEFINITION_LIMITS.schemaNodes} parts`;
    report.error({ path: toFile([]), message });
  }
  if (report.errors.length > before) return;
  const compiled = compileSchema(schema, { defaults: true });
  if (!compiled.ok) report.error({ path: toFile([]), message: `not a schema: ${compiled.message}` });
}

/** Refers to other schemas; a reference can make a small schema take for ever. */
const REFERENCES: ReadonlySet<string> = new Set([
  "$ref",
  "$dynamicRef",
  "$recursiveRef",
  "$id",
  "$anchor",
  "$dynamicAnchor",
  "$async",
]);
const HOLDS_SCHEMAS: ReadonlySet<string> = new Set([
  "properties",
  "patternProperties",
  "dependentSchemas",
  "$defs",
]);
const KEYWORDS = [
  ...[
    "type",
    "enum",
    "const",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
  ],
  ...["minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType", "contentSchema"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...[
    "items",
    "prefixItems",
    "contains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minContains",
    "maxContains",
    "unevaluatedItems",
  ],
  ...[
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "required",
    "minProperties",
    "maxProperties",
  ],
  ...[
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
  ],
  ...["$schema", "$comment", "$defs"],
];
const KNOWN: ReadonlySet<string> = new Set(KEYWORDS);

function walkSchema(schema: Json, path: Path, walk: CheckSchema & { nodes: number }): void {
  walk.nodes += 1;
  if (walk.nodes > DEFINITION_LIMITS.schemaNodes) return;
  if (Array.isArray(schema)) {
    for (const [index, item] of (schema as readonly Json[]).entries())
      walkSchema(item, [...path, index], walk);
  }
  if (!isJsonObject(schema)) return;
  for (const [key, value] of Object.entries(schema)) {
    const at = [...path, key];
    checkKeyword({ key, value, schema }, walk.toFile(at), walk.report);
    if (HOLDS_SCHEMAS.has(key) && isJsonObject(value)) {
      for (const [name, member] of Object.entries(value)) walkSchema(member, [...at, name], walk);
      if (key === "patternProperties") {
        for (const name of Object.keys(value)) checkPattern(name, walk.toFile([...at, name]), walk.report);
      }
    } else if (!DATA_KEYWORDS.has(key)) {
      walkSchema(value, at, walk);
    }
  }
}

/** Their values are data, not schemas. */
const DATA_KEYWORDS: ReadonlySet<string> = new Set([
  "enum",
  "const",
  "default",
  "examples",
  "required",
  "dependentRequired",
]);

function checkKeyword(
  written: { readonly key: string; readonly value: Json; readonly schema: JsonObject },
  path: Path,
  report: Report,
): void {
  const { key, value, schema } = written;
  if (REFERENCES.has(key)) {
    const expected = "a schema that is written out";
    report.error({ path, message: `\`${key}\` is not used in the schemas of inputs`, expected, atKey: true });
  } else if (!KNOWN.has(key) && !key.startsWith("x-")) {
    const message = `\`${key}\` says nothing in JSON Schema and is ignored`;
    report.warn({ path, message, name: key, candidates: KEYWORDS, atKey: true });
  } else if (key === "pattern" && typeof value === "string") {
    checkPattern(value, path, report);
  } else if (key === "uniqueItems" && value === true) {
    const most = schema.maxItems;
    if (typeof most === "number" && most <= DEFINITION_LIMITS.uniqueItems) return;
    const expected = `\`maxItems\` of at most ${DEFINITION_LIMITS.uniqueItems} beside it`;
    report.error({ path, message: "`uniqueItems` compares each member with each", expected, atKey: true });
  }
}

/**
 * Patterns run on what callers send, in an engine that backtracks: one that repeats a repetition, or that
 * repeats alternatives, can take for ever on a short text.
 */
function checkPattern(pattern: string, path: Path, report: Report): void {
  if (pattern.length > DEFINITION_LIMITS.patternChars) {
    const expected = `at most ${DEFINITION_LIMITS.patternChars} characters`;
    report.error({ path, message: "the pattern is too long", expected });
    return;
  }
  try {
    new RegExp(pattern, "u");
  } catch (error) {
    report.error({
      path,
      message: error instanceof Error ? error.message : String(error),
      expected: "a pattern",
    });
    return;
  }
  if (!mayExplode(pattern)) return;
  const expected = "no repetition inside a repeated group, no alternatives in one, and no back references";
  report.error({ path, message: `the pattern \`${pattern}\` can take for ever on some texts`, expected });
}

function mayExplode(pattern: string): boolean {
  const bare = pattern.replaceAll(/\\[^1-9k]/g, "a").replaceAll(/\[(?:\\.|[^\]\\])*\]/g, "c");
  if (/\\[1-9k]/.test(bare)) return true;
  const groups: { repeats: boolean }[] = [{ repeats: false }];
  for (let at = 0; at < bare.length; at += 1) {
    const char = bare[at];
    const top = groups.at(-1) as { repeats: boolean };
    if (char === "(") groups.push({ repeats: false });
    else if (char === "|" || char === "*" || char === "+") top.repeats = true;
    else if (char === "{" && /^\{\d+,\d*\}/.test(bare.slice(at))) top.repeats = true;
    else if (char === ")" && groups.length > 1) {
      const inner = groups.pop() as { repeats: boolean };
      const repeated = /^(?:[*+]|\{\d+,?\d*\})/.test(bare.slice(at + 1));
      if (repeated && inner.repeats) return true;
      if (inner.repeats) (groups.at(-1) as { repeats: boolean }).repeats = true;
    }
  }
  return unboundedRuns(bare) > MOST_UNBOUNDED;
}

/** `a*a*a*$` takes polynomial time: one power for each, and one more when it may start anywhere. */
const MOST_UNBOUNDED = 3;
const FEW = 16;

function unboundedRuns(bare: string): number {
  const runs = [...bare.matchAll(/[*+]|\{\d+,(\d*)\}/g)];
  const long = runs.filter((run) => run[1] === undefined || run[1] === "" || Number(run[1]) > FEW);
  return long.length + (bare.startsWith("^") ? 0 : 1);
}

function checkDefaults(properties: JsonObject, propertiesPath: Path, report: Report): void {
  for (const [name, property] of Object.entries(properties)) {
    if (!isJsonObject(property) || property.default === undefined) continue;
    const compiled = compileSchema(property, { defaults: false });
    const problems = compiled.ok ? valueProblems(compiled.validate, property.default) : [];
    for (const problem of problems) {
      report.error({ ...problem, path: [...propertiesPath, name, "default", ...problem.path] });
    }
  }
}
