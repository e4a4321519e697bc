import { describe, expect, it } from "vitest";
import type { FactBody } from "./fact.ts";
import { growView, showView, startView } from "./run-view.ts";
import { request } from "./testing.suite.ts";

const begun: FactBody[] = [
  { kind: "run_queued", request: request() },
  { kind: "run_started", worker: "w" },
];
const started = (step: string, attempt = 1): FactBody => ({
  kind: "step_started",
  step,
  attempt,
  input: null,
});
const turn = (step: string): FactBody => ({ kind: "noted", step, name: "turn_started", data: {} });
const succeeded = (step: string): FactBody => ({ kind: "step_succeeded", step, attempt: 1, output: null });

/** All facts at second 1; seen at second 21, so 20 s have passed. */
function progress(bodies: readonly FactBody[], usualMs: number | null = null) {
  const state = startView(["a", "b"]);
  growView(
    state,
    [...begun, ...bodies].map((body, index) => ({ ...body, seq: index + 1, at: 1_000 })),
  );
  const shown = showView(state, 21_000, usualMs);
  if (shown === null) throw new Error("no view");
  return shown.progress;
}

describe("how far an agent is", () => {
  it("grows with each turn, and never to the whole of its step", () => {
    const after = (turns: number) =>
      progress([started("a"), ...Array.from({ length: turns }, () => turn("a"))]);
    expect([0, 1, 8, 1_000].map((turns) => after(turns).percent)).toEqual([0, 5, 25, 49]);
  });

  it("begins anew with another attempt", () => {
    expect(progress([started("a"), turn("a"), turn("a"), started("a", 2)]).percent).toBe(0);
  });
});

describe("the time that is left", () => {
  const half = [started("a"), succeeded("a"), started("b")];

  it("is what such runs usually take, less what has passed", () => {
    expect(progress(half, 30_000).etaMs).toBe(10_000);
    expect(progress([started("a")], 30_000).etaMs).toBe(10_000);
  });

  it("goes by how far the run has come once the usual time is over, or when there is none", () => {
    expect(progress(half, 20_000).etaMs).toBe(20_000);
    expect(progress([...half, ...Array.from({ length: 8 }, () => turn("b"))]).etaMs).toBe(6_667);
  });

  it("is not guessed from nearly nothing", () => {
    expect(progress([started("a"), turn("a")]).etaMs).toBeNull();
  });

  it("is not known of a run that waits, is paused, has not begun a step, or has ended", () => {
    const wait = { key: "k", on: "signal", name: "go", until: null } as const;
    expect(
      progress([started("a"), { kind: "step_waiting", step: "a", attempt: 1, waits: [wait] }], 30_000).etaMs,
    ).toBeNull();
    expect(progress([started("a"), { kind: "run_paused", by: "api" }], 30_000).etaMs).toBeNull();
    expect(progress([], 30_000).etaMs).toBeNull();
    expect(progress([...half, { kind: "run_completed", output: null }], 30_000).etaMs).toBeNull();
  });
});
