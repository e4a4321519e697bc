import type { FastifySchemaCompiler } from "fastify";
import { z } from "zod";
import { isJsonObject, type Json } from "../base/json.ts";
import { clip, nearest } from "../base/text.ts";
import { FailureError, failure } from "../domain/errors.ts";

const PARTS: Readonly<Record<string, string>> = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "header",
};
const PROBLEMS_SHOWN = 20;
const VALUE_CHARS = 200;

/** What is wrong with one field of a request. */
interface Problem {
  readonly field: string;
  readonly value: string | null;
  readonly expected: string;
}

/** Checks a part of a request by its zod schema; the failure names each field, what it is and what was expected. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const part = PARTS[httpPart ?? ""] ?? "request";
  return (data: unknown) => {
    const result = schema.safeParse(data);
    if (result.success) return { value: result.data };
    const problems = result.error.issues.flatMap((issue) => describe(issue, { part, data, schema }));
    const shown = problems.slice(0, PROBLEMS_SHOWN);
    const sentences = shown.map(({ field, value, expected }) =>
      value === null
        ? `${field} is missing; expected ${expected}`
        : `${field} is ${value}; expected ${expected}`,
    );
    const details = { fields: shown.map((problem) => ({ ...problem })) as Json };
    return { error: new FailureError(failure("invalid_request", `${sentences.join(". ")}.`, details)) };
  };
};

interface Where {
  readonly part: string;
  readonly data: unknown;
  readonly schema: z.ZodType;
}

function describe(issue: z.core.$ZodIssue, where: Where): readonly Problem[] {
  const field = [where.part, ...issue.path.map(String)].join(".");
  const given = valueAt(where.data, issue.path);
  if (issue.code === "unrecognized_keys") {
    const known = issue.path.length === 0 ? knownKeys(where.schema) : [];
    return issue.keys.map((key) => ({
      field: `${field}.${key}`,
      value: "unknown here",
      expected: suggestion(key, known),
    }));
  }
  const value = given === undefined || (given === null && issue.path.length === 0) ? null : show(given);
  return [{ field, value, expected: expectation(issue) }];
}

function suggestion(key: string, known: readonly string[]): string {
  const meant = nearest(key.slice(0, VALUE_CHARS), known);
  if (meant !== null) return `${meant}, if that was meant`;
  return known.length > 0 ? `only ${known.join(", ")}` : "no such field";
}

function knownKeys(schema: z.ZodType): readonly string[] {
  if (schema instanceof z.ZodObject) return Object.keys(schema.shape);
  return schema instanceof z.ZodPipe && schema.out instanceof z.ZodType ? knownKeys(schema.out) : [];
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "a whole number" : `${article(issue.expected)} ${issue.expected}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      return `${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${unit(issue.origin)}`;
    case "too_big":
      return `${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unit(issue.origin)}`;
    case "invalid_format":
      return "pattern" in issue && issue.pattern
        ? `text that matches ${issue.pattern}`
        : `a valid ${issue.format}`;
    default:
      return issue.message;
  }
}

function unit(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " items" : "";
}

function article(noun: string): string {
  return /^[aeiou]/.test(noun) ? "an" : "a";
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else if (isJsonObject(value) && Object.hasOwn(value, key)) value = value[String(key)];
    else return undefined;
  }
  return value;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return clip(JSON.stringify(value) ?? String(value), VALUE_CHARS).text;
}
