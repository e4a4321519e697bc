import type { FastifyInstance } from "fastify";
import { jsonDepth } from "../base/json.ts";
import { jsonErrorPlace } from "../base/json-place.ts";
import { type Failure, FailureError, failure } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";

/** The levels that a request adds around a value that may itself have `LIMITS.jsonDepth`. */
const ENVELOPE_DEPTH = 2;

/** JSON as it should be: the place of a mistake is named, nothing is nested without end or reaches for a prototype. */
function parseJson(text: string): unknown {
  if (text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FailureError(notJson(text));
  }
  const deepest = LIMITS.jsonDepth + ENVELOPE_DEPTH;
  if (jsonDepth(value, deepest) > deepest) {
    throw new FailureError(
      failure("payload_too_large", `The body is nested deeper than ${deepest} levels.`, { limit: deepest }),
    );
  }
  if (hasPrototypeKey(value)) {
    throw new FailureError(failure("invalid_request", 'The body has a key "__proto__"; leave it out.'));
  }
  return value;
}

function notJson(text: string): Failure {
  const place = jsonErrorPlace(text) ?? { offset: 0, line: 1, column: 1 };
  const { offset, line, column } = place;
  const found = offset < text.length ? JSON.stringify(text.charAt(offset)) : "the end of the body";
  return failure(
    "invalid_request",
    `The body is not JSON: unexpected ${found} at line ${line}, column ${column} (position ${offset}).`,
    { ...place },
  );
}

/** Recursion is bounded: the depth was checked before. */
function hasPrototypeKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(hasPrototypeKey);
}

/** Takes the place of the framework's parsers: JSON, and nothing else unless a route asks for it. */
export function useJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) => {
    try {
      done(null, parseJson(String(body)));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** Content types that a workflow's YAML comes as. */
export const YAML_TYPES = [
  "application/yaml",
  "application/x-yaml",
  "text/yaml",
  "text/x-yaml",
  "text/plain",
] as const;

export function useYamlBodies(app: FastifyInstance): void {
  app.addContentTypeParser([...YAML_TYPES], { parseAs: "string" }, (_request, body, done) =>
    done(null, body),
  );
}
