import { type Json, jsonDepth } from "../base/json.ts";
import { fail, ok, type Result } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";

/** Depth before size: only a value of bounded depth may be serialised. `maxBytes` counts its JSON in UTF-8. */
export function checkJson(field: string, value: Json, maxBytes: number): Result<Json> {
  if (jsonDepth(value, LIMITS.jsonDepth) > LIMITS.jsonDepth) {
    return fail("payload_too_large", `${field} is nested deeper than ${LIMITS.jsonDepth} levels.`, {
      field,
      limit: LIMITS.jsonDepth,
    });
  }
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > maxBytes) {
    return fail("payload_too_large", `${field} has ${bytes} bytes of JSON; at most ${maxBytes} are taken.`, {
      field,
      bytes,
      limit: maxBytes,
    });
  }
  return ok(value);
}

/** Text of 1 to `maxChars` characters that is not blank. */
export function checkText(field: string, value: string, maxChars: number): Result<string> {
  if (value.trim() === "") {
    return fail("invalid_request", `${field} is empty; write at least one character.`, { field });
  }
  if (value.length > maxChars) {
    return fail(
      "invalid_request",
      `${field} has ${value.length} characters; at most ${maxChars} are taken.`,
      {
        field,
        limit: maxChars,
      },
    );
  }
  return ok(value);
}
