import { APICallError } from "@ai-sdk/provider";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../../domain/errors.ts";
import { classifyInBand, classifyThrown } from "./classify.ts";
import { retryAfterMs } from "./retry-after.ts";

const context = { name: "acme", now: 0, secrets: ["sk-secret"], responded: false };

function network(code: string, message: string): TypeError {
  return new TypeError("fetch failed", { cause: Object.assign(new Error(message), { code }) });
}

describe("a connection that was not made", () => {
  test.each([
    ["ENOTFOUND", "getaddrinfo ENOTFOUND api.acme.example", "model_unavailable"],
    ["EAI_AGAIN", "getaddrinfo EAI_AGAIN api.acme.example", "model_unavailable"],
    ["ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1", "model_unavailable"],
    ["UND_ERR_CONNECT_TIMEOUT", "Connect Timeout Error", "model_unavailable"],
    ["CERT_HAS_EXPIRED", "certificate has expired", "model_unavailable"],
    ["UND_ERR_HEADERS_TIMEOUT", "Headers Timeout Error", "model_timeout"],
  ])("%s", (code, message, expected) => {
    const { failure } = classifyThrown(network(code, message), context);
    expect(failure).toMatchObject({ code: expected, retryable: true });
    expect(failure.message).toContain(message);
    expect(failure.message).toContain(code);
  });

  test("one that broke during the answer lost it", () => {
    const broken = classifyThrown(network("ECONNRESET", "read ECONNRESET"), { ...context, responded: true });
    expect(broken.failure.code).toBe("model_truncated");
  });
});

test("any status, any body and any error is a value of the catalogue, and never shows a secret", () => {
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string().map((said) => JSON.stringify({ error: { message: `sk-secret ${said}`, type: said } })),
  );
  fc.assert(
    fc.property(fc.integer({ min: 300, max: 599 }), body, (statusCode, responseBody) => {
      const error = new APICallError({
        message: "sk-secret",
        url: "http://x",
        requestBodyValues: {},
        statusCode,
        responseBody,
      });
      const { failure } = classifyThrown(error, context);
      expect(Object.keys(ERRORS)).toContain(failure.code);
      expect(JSON.stringify(failure)).not.toContain("sk-secret");
    }),
  );
  fc.assert(
    fc.property(fc.anything(), (thrown) => {
      expect(Object.keys(ERRORS)).toContain(classifyThrown(thrown, context).failure.code);
    }),
  );
});

test.each([
  ["overloaded_error", "Overloaded", "model_overloaded"],
  ["rate_limit_error", "slow down", "model_rate_limited"],
  ["api_error", "Internal server error", "model_unavailable"],
  ["authentication_error", "no", "model_auth"],
  ["invalid_request_error", "prompt is too long: 1 > 0", "model_context_overflow"],
  ["invalid_request_error", "bad role", "model_invalid_request"],
  ["timeout_error", "Request timed out", "model_timeout"],
  ["", "server busy, please try again", "model_overloaded"],
  ["", "something", "model_unavailable"],
])("in a stream, %s %s is %s", (kind, message, expected) => {
  expect(classifyInBand({ kind, message }, context).failure.code).toBe(expected);
});

describe("retryAfterMs", () => {
  test.each<[Record<string, string>, string | null, number | null]>([
    [{ "retry-after": "12" }, null, 12_000],
    [{ "retry-after": "0.5" }, null, 500],
    [{ "retry-after-ms": "1500", "retry-after": "9" }, null, 1_500],
    [{ "retry-after": "Thu, 01 Jan 1970 00:00:05 GMT" }, null, 5_000],
    [{ "retry-after": "Thu, 01 Jan 1970 00:00:05 GMT", date: "Thu, 01 Jan 1970 00:00:04 GMT" }, null, 1_000],
    [{ "retry-after": "Thu, 01 Jan 1969 00:00:05 GMT" }, null, 0],
    [{ "retry-after": "-3" }, null, null],
    [{ "retry-after": "99999999999" }, null, 86_400_000],
    [{}, "13s", 13_000],
    [{}, null, null],
  ])("%j, %j", (headers, delay, expected) => {
    expect(retryAfterMs(headers, delay, 0)).toBe(expected);
  });
});
