import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Activity,
  noProgress,
  PROGRESS_LIMITS,
  PROGRESS_WARNINGS,
  PROGRESS_WINDOW,
} from "./progress.ts";

const call = (name: string, result = "r", isError = false): Activity => ({
  kind: "call",
  tool: "read",
  input: name,
  result,
  isError,
});
const talk: Activity = { kind: "monologue" };
const times = (count: number, activity: Activity): Activity[] =>
  Array.from({ length: count }, () => activity);

describe("no progress", () => {
  it("sees nothing in an empty list", () => {
    expect(noProgress([])).toBeNull();
  });

  it("sees the same call with the same result at the fourth time", () => {
    expect(noProgress(times(3, call("a")))).toBeNull();
    expect(noProgress(times(4, call("a")))).toMatchObject({ pattern: "repeated_result" });
    expect(noProgress([...times(3, call("a")), call("a", "other")])).toBeNull();
  });

  it("sees the same failing call at the third time, whatever its words", () => {
    expect(noProgress([call("a", "x", true), call("a", "y", true)])).toBeNull();
    expect(noProgress([call("a", "x", true), call("a", "y", true), call("a", "z", true)])).toMatchObject({
      pattern: "repeated_error",
    });
    expect(noProgress([call("a", "x", true), call("a", "y"), call("a", "z", true)])).toBeNull();
    expect(noProgress([call("a", "x", true), call("b", "y", true), call("a", "z", true)])).toBeNull();
  });

  it("sees three turns of talk", () => {
    expect(noProgress([call("a"), talk, talk])).toBeNull();
    expect(noProgress([call("a"), talk, talk, talk])).toMatchObject({ pattern: "monologue" });
  });

  it("sees six calls that go back and forth", () => {
    const pair = [call("a"), call("b")];
    expect(noProgress([...pair, ...pair, call("a")])).toBeNull();
    expect(noProgress([...pair, ...pair, ...pair])).toMatchObject({ pattern: "alternating" });
    expect(noProgress([...pair, ...pair, call("a"), call("b", "news")])).toBeNull();
    expect(noProgress([call("a"), talk, call("a"), call("b"), call("a"), call("b")])).toBeNull();
    expect(noProgress([talk, call("a"), call("b"), call("a"), call("b"), call("a")])).toBeNull();
    expect(noProgress([call("a"), call("b"), talk, call("b"), call("a"), call("b")])).toBeNull();
  });

  it("does not call a repeated call an alternation", () => {
    const limits = { ...PROGRESS_LIMITS, repeatedResults: 99 };
    expect(noProgress(times(6, call("a")), limits)).toBeNull();
  });

  it("warns one activity before it ends the agent", () => {
    for (const make of [() => call("a"), () => call("a", "x", true), () => talk]) {
      const activities: Activity[] = [];
      while (noProgress(activities) === null) activities.push(make());
      expect(noProgress(activities.slice(0, -1), PROGRESS_WARNINGS)).not.toBeNull();
    }
  });

  it("looks at the end only, and never further back than its window", () => {
    const activity = fc.oneof(
      fc.constant(talk),
      fc.record({
        kind: fc.constant("call" as const),
        tool: fc.constantFrom("read", "edit"),
        input: fc.constantFrom("a", "b"),
        result: fc.constantFrom("x", "y"),
        isError: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(fc.array(activity, { maxLength: 20 }), (activities) => {
        const whole = noProgress(activities);
        const tail = noProgress(activities.slice(-PROGRESS_WINDOW));
        expect(tail?.pattern).toBe(whole?.pattern);
      }),
    );
  });

  it("never objects while every result is new", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 30 }), (inputs) => {
        const activities = inputs.map((same, at) => call(same ? "a" : "b", `result ${at}`));
        expect(noProgress(activities)).toBeNull();
      }),
    );
  });
});
