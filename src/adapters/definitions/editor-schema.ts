import { z } from "zod";
import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import type { Action } from "../../contracts/action.ts";
import { agentShape, workflowShape } from "./shape.ts";

const DIALECT = "https://json-schema.org/draft/2020-12/schema";
const EXPRESSION: JsonObject = { type: "string", pattern: "\\$\\{\\{" };

/** JSON Schema (2020-12) of a workflow file, with the names of the actions and what each is given. */
export function workflowFileSchema(actions: readonly Action[]): JsonObject {
  const shape = shapeSchema(workflowShape);
  const sorted = [...actions].sort((a, b) => (a.name < b.name ? -1 : 1));
  const properties = objectAt(shape, "properties");
  const steps = objectAt(properties, "steps");
  const step = objectAt(steps, "items");
  const uses = {
    ...objectAt(objectAt(step, "properties"), "uses"),
    oneOf: sorted.map((action) => ({ const: action.name, description: action.description })),
  };
  const withActions = {
    ...step,
    properties: { ...objectAt(step, "properties"), uses },
    allOf: sorted.map(withRule),
  };
  return {
    $schema: DIALECT,
    title: "agent-runner workflow",
    ...shape,
    properties: { ...properties, steps: { ...steps, items: sorted.length === 0 ? step : withActions } },
    $defs: {
      ...objectAt(shape, "$defs"),
      expression: EXPRESSION,
      ...Object.fromEntries(sorted.map((action) => [definitionName(action), relaxed(action.input, action)])),
    },
  };
}

/** JSON Schema (2020-12) of the front matter of an agent file. */
export function agentFileSchema(toolNames: readonly string[]): JsonObject {
  const shape = shapeSchema(agentShape);
  const properties = objectAt(shape, "properties");
  const tools = { ...objectAt(properties, "tools"), items: { type: "string", enum: [...toolNames] } };
  return {
    $schema: DIALECT,
    title: "agent-runner agent (front matter)",
    ...shape,
    properties: { ...properties, tools },
  };
}

function shapeSchema(shape: z.ZodType): JsonObject {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, { target: "draft-2020-12", io: "input" });
  return JSON.parse(JSON.stringify(schema)) as JsonObject;
}

function objectAt(value: JsonObject, key: string): JsonObject {
  const member = value[key];
  return isJsonObject(member) ? member : {};
}

function definitionName(action: Action): string {
  return `with_${action.name.replaceAll(/[^\w]/g, "_")}`;
}

function withRule(action: Action): JsonObject {
  const must = Array.isArray(action.input.required) && action.input.required.length > 0;
  const then = { properties: { with: { $ref: `#/$defs/${definitionName(action)}` } } };
  return {
    if: { properties: { uses: { const: action.name } }, required: ["uses"] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: must ? { ...then, required: ["with"] } : then,
  };
}

/** The action's schema, where any value below the top may be an expression instead. */
function relaxed(schema: JsonObject, action: Action): JsonObject {
  const rewritten = rewrite(schema, action);
  return isJsonObject(rewritten) ? rewritten : {};
}

const HOLDS_SCHEMAS: ReadonlySet<string> = new Set(["properties", "patternProperties"]);
const IS_SCHEMA: ReadonlySet<string> = new Set(["items", "additionalProperties"]);

function rewrite(schema: Json, action: Action): Json {
  if (!isJsonObject(schema)) return schema;
  const members = Object.entries(schema).flatMap(([key, value]): [string, Json][] => {
    if (key === "$schema" || key === "$id") return [];
    if (key === "$ref" && typeof value === "string") {
      return [[key, value.replace(/^#/, `#/$defs/${definitionName(action)}`)]];
    }
    if (HOLDS_SCHEMAS.has(key) && isJsonObject(value)) {
      const inner = Object.entries(value).map(
        ([name, member]) => [name, orExpression(member, action)] as const,
      );
      return [[key, Object.fromEntries(inner)]];
    }
    if (key === "$defs" && isJsonObject(value)) {
      const inner = Object.entries(value).map(([name, member]) => [name, rewrite(member, action)] as const);
      return [[key, Object.fromEntries(inner)]];
    }
    if (Array.isArray(value) && ["anyOf", "oneOf", "allOf"].includes(key)) {
      return [[key, value.map((member: Json) => rewrite(member, action))]];
    }
    return [[key, IS_SCHEMA.has(key) ? orExpression(value, action) : value]];
  });
  return Object.fromEntries(members);
}

function orExpression(schema: Json, action: Action): Json {
  if (!isJsonObject(schema)) return schema;
  const strict = rewrite(schema, action);
  if (schema.type === "string" && schema.enum === undefined && schema.pattern === undefined) return strict;
  if (Object.keys(schema).length === 0) return strict;
  return { anyOf: [strict, { $ref: "#/$defs/expression" }] };
}
