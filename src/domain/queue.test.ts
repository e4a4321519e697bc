import { describe, expect, it } from "vitest";
import { FAIR_SHARE, nextShare, shareStep } from "./fair-share.ts";
import { hasLabels, laneOf, missingWorker } from "./labels.ts";
import {
  droppedFor,
  queueFull,
  slotInUse,
  slotOfAncestor,
  supersededReason,
  tenantQueueFull,
  tooManyLanes,
} from "./queue.ts";
import { fade, HALF_LIFE_MS, MOST_HALF_LIVES, serve, serviceRate } from "./service-rate.ts";

describe("fair share", () => {
  it("moves a heavy tenant's clock less, between the bounds", () => {
    expect(shareStep(1)).toBe(FAIR_SHARE.scale);
    expect(shareStep(4)).toBe(FAIR_SHARE.scale / 4);
    expect(shareStep(0)).toBe(Math.round(FAIR_SHARE.scale / FAIR_SHARE.leastWeight));
    expect(shareStep(1e9)).toBe(Math.round(FAIR_SHARE.scale / FAIR_SHARE.mostWeight));
  });

  it("begins at the floor, or where the tenant is when that is further", () => {
    const step = shareStep(1);
    expect(nextShare({ floor: 500, tenant: 10, weight: 1 })).toBe(500 + step);
    expect(nextShare({ floor: 500, tenant: 900, weight: 1 })).toBe(900 + step);
  });
});

describe("labels", () => {
  it("are one lane in whatever order", () => {
    expect(laneOf(["gpu", "a", "gpu"])).toBe(laneOf(["a", "gpu"]));
    expect(laneOf([])).toBe("[]");
  });

  it("are all needed", () => {
    expect(hasLabels(["a", "b"], ["b"])).toBe(true);
    expect(hasLabels(["a"], ["a", "b"])).toBe(false);
    expect(hasLabels([], [])).toBe(true);
  });

  it("are told when no worker has them", () => {
    expect(missingWorker(["b", "a"], [["a"], ["b"]])).toBe("worker:a,b");
    expect(missingWorker(["a"], [["b"], ["a"]])).toBeNull();
    expect(missingWorker(["a"], [])).toBe("worker:a");
  });
});

describe("service rate", () => {
  const one = { runs: 1, ms: 200, at: 1_000_000 };

  it("fades by half in a half-life, never to nothing, and not when the clock goes back", () => {
    expect(fade(one, one.at + HALF_LIFE_MS)).toEqual({ runs: 0.5, ms: 100, at: one.at + HALF_LIFE_MS });
    expect(fade(one, one.at - 5)).toEqual(one);
    const late = fade(one, one.at + HALF_LIFE_MS * 10_000);
    expect(late.runs).toBe(0.5 ** MOST_HALF_LIVES);
  });

  it("averages what was served lately, over all who keep sums", () => {
    const more = serve(one, { runs: 1, ms: 100, at: one.at });
    expect(more).toEqual({ runs: 2, ms: 300, at: one.at });
    expect(serviceRate([more, { runs: 1, ms: 0, at: one.at }], one.at).serviceMs).toBe(100);
    expect(serviceRate([], one.at)).toEqual({ serviceMs: null, drainedPerSecond: 0 });
  });

  it("finds the rate of a steady queue", () => {
    let served = { runs: 0, ms: 0, at: 0 };
    for (let at = 0; at < 20 * HALF_LIFE_MS; at += 100) served = serve(served, { runs: 1, ms: 30, at });
    const rate = serviceRate([served], served.at);
    expect(rate.drainedPerSecond).toBeCloseTo(10, 1);
    expect(rate.serviceMs).toBeCloseTo(30, 6);
  });
});

describe("refusals of the queue", () => {
  it("name what is full, by how much, and who is in the way", () => {
    const key = "key:deploy";
    expect(slotInUse({ key, limit: 1, holder: "run_1" }).message).toBe(
      "key:deploy is for one run at a time, and run run_1 has it",
    );
    expect(slotInUse({ key, limit: 3, holder: "run_1" }).message).toContain("3 runs at a time");
    expect(slotOfAncestor({ key, holder: "run_1" })).toMatchObject({
      code: "concurrency_conflict",
      details: { key, holder: "run_1" },
    });
    expect(tenantQueueFull({ tenant: "a", queued: 3, cap: 3 }).message).toContain("tenant a has 3 runs");
    expect(queueFull({ queued: 9, cap: 9, priority: 4 }).message).toContain("its cap is 9");
    expect(droppedFor({ priority: 8, by: 1 })).toMatchObject({
      code: "dropped_low_priority",
      retryable: true,
      details: { priority: 8, by: 1 },
    });
    expect(supersededReason("run_2", key)).toBe("run run_2 takes its place (key:deploy)");
    expect(tooManyLanes(["a", "b"], 5)).toMatchObject({ code: "limit_exceeded" });
  });
});
