import { describe, expect, it } from "vitest";
import { type AgentLimits, budgetText, guard, nearLimits, type Used } from "./guard.ts";

const limits: AgentLimits = {
  turns: 10,
  tokens: 1_000,
  costUsd: 0.5,
  wallTimeMs: 60_000,
  repairRounds: 1,
  contextTokens: 0,
  compactAtTokens: 500,
};
const none: Used = { turns: 0, tokens: 0, costMicros: 0, activeMs: 0 };

describe("the guard before each model call", () => {
  it("lets an agent begin", () => {
    expect(guard(limits, none)).toBeNull();
    expect(nearLimits(limits, none)).toEqual([]);
  });

  it.each([
    ["turns", { turns: 10 }, "agent_step_limit"],
    ["tokens", { tokens: 1_000 }, "agent_token_limit"],
    ["cost", { costMicros: 500_000 }, "agent_cost_limit"],
    ["time", { activeMs: 60_000 }, "agent_time_limit"],
  ])("stops it when its %s are used up", (_name, used, code) => {
    expect(guard(limits, { ...none, ...used })).toMatchObject({ code, retryable: false });
  });

  it.each([
    ["turns", { turns: 8 }],
    ["tokens", { tokens: 800 }],
    ["cost", { costMicros: 400_000 }],
    ["time", { activeMs: 48_000 }],
  ])("warns at four fifths of its %s", (name, used) => {
    const near = nearLimits(limits, { ...none, ...used });
    expect(near.map((one) => one.limit)).toEqual([name]);
    expect(near[0]?.text).toContain("finish soon");
  });

  it("knows no cost limit when none is set", () => {
    const { costUsd: _, ...free } = limits;
    expect(guard(free, { ...none, costMicros: 9e9 })).toBeNull();
    expect(budgetText(free, none)).toBe("0 of 10 turns; 0 of 1000 tokens; 0ms of 1m00s working time");
  });

  it("says what is left", () => {
    expect(budgetText(limits, { turns: 2, tokens: 10, costMicros: 1_500, activeMs: 2_000 })).toBe(
      "2 of 10 turns; 10 of 1000 tokens; $0.0015 of $0.50; 2.0s of 1m00s working time",
    );
  });
});
