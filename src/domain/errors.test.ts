import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, FailureError, fail, failure, ok } from "./errors.ts";

describe("the catalogue of errors", () => {
  it.each(Object.entries(ERRORS))("%s has an HTTP error status and says what to do", (code, entry) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(entry.status).toBeGreaterThanOrEqual(400);
    expect(entry.status).toBeLessThan(600);
    expect(entry.remedy).toMatch(/^.{10,}\.$/);
  });

  it("never sends a client away for good that its own status invites to come again", () => {
    const contrary = Object.entries(ERRORS).filter(
      ([, { status, retryable }]) => (status === 429 || status === 503) && !retryable,
    );
    expect(contrary).toEqual([]);
  });
});

describe("a failure", () => {
  it.each<[ErrorCode, boolean]>([
    ["model_overloaded", true],
    ["not_found", false],
  ])("of the code %s is as retryable as its entry says: %s", (code, retryable) => {
    expect(failure(code, "m")).toEqual({ code, message: "m", retryable });
  });

  it("holds details only when there are some, null included", () => {
    expect(failure("internal", "m", { at: 1 }).details).toEqual({ at: 1 });
    expect(failure("internal", "m", null)).toHaveProperty("details", null);
    expect(failure("internal", "m")).not.toHaveProperty("details");
  });

  it("travels as a result or, where code can only throw, inside an error with the same words", () => {
    const broken = failure("git_failed", "no such ref");
    expect(fail("git_failed", "no such ref")).toEqual({ ok: false, failure: broken });
    expect(ok(3)).toEqual({ ok: true, value: 3 });
    const thrown = new FailureError(broken);
    expect(thrown).toBeInstanceOf(Error);
    expect([thrown.name, thrown.message, thrown.failure]).toEqual(["FailureError", "no such ref", broken]);
  });
});
