import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../base/assert.ts";
import { evolve, fold, initialState } from "./evolve.ts";
import type { Fact, FactBody } from "./fact.ts";
import { hasRunEnded, hasStepEnded } from "./run.ts";
import { Bench, request, step, workflow } from "./testing.suite.ts";

const failure = { code: "x", message: "x", retryable: true };
const approval = { id: "apr_1", title: "?", details: null, risk: "low" as const, expiresAt: null };

/** The journal of a run in which `bodies` happened, from its beginning. */
function journal(...bodies: readonly FactBody[]): readonly Fact[] {
  const queued: FactBody = { kind: "run_queued", request: request() };
  return [queued, ...bodies].map((body, index) => ({ ...body, seq: index + 1, at: 1_000 + index }));
}

const started = (id: string, attempt = 1): FactBody => ({
  kind: "step_started",
  step: id,
  attempt,
  input: 1,
});
const succeeded = (id: string, output: number | null = null): FactBody => ({
  kind: "step_succeeded",
  step: id,
  attempt: 1,
  output,
});
const failed = (id: string): FactBody => ({ kind: "step_failed", step: id, attempt: 1, failure });
const waiting = (id: string): FactBody => ({
  kind: "step_waiting",
  step: id,
  attempt: 1,
  waits: [{ key: "k", on: "signal", name: "go", until: null }],
});
const woken = (id: string, signal: string | null): FactBody => ({
  kind: "step_woken",
  step: id,
  attempt: 1,
  key: "k",
  by: signal === null ? "timer" : "signal",
  signal,
});
const signaled = (id: string): FactBody => ({
  kind: "signal_received",
  id,
  name: "go",
  body: 7,
  from: "ann",
});
const intended = (key: string): FactBody => ({
  kind: "effect_intended",
  step: "a",
  attempt: 1,
  key,
  effect: "manual",
  requestHash: "h",
  idempotencyKey: "i",
  label: "l",
});
const recorded = (key: string): FactBody => ({
  kind: "effect_recorded",
  step: "a",
  attempt: 1,
  key,
  requestHash: "h",
  result: { ok: true, value: 5 },
  label: "l",
  ms: 1,
});
const uncertain = (key: string): FactBody => ({
  kind: "effect_uncertain",
  step: "a",
  attempt: 1,
  key,
  approval: "apr_1",
});

describe("a journal that cannot be", () => {
  it.each<[string, readonly FactBody[]]>([
    ["run_queued twice", [{ kind: "run_queued", request: request() }]],
    [
      "run_started twice",
      [
        { kind: "run_started", worker: "w" },
        { kind: "run_started", worker: "w" },
      ],
    ],
    [
      "run_paused after the end of the run",
      [
        { kind: "run_canceled", reason: "" },
        { kind: "run_paused", by: "x" },
      ],
    ],
    ["approval apr_1 is not open", [{ kind: "approval_expired", approval: "apr_1" }]],
    [
      "approval apr_1 is not open",
      [
        { kind: "approval_requested", step: "a", approval },
        { kind: "approval_expired", approval: "apr_1" },
        { kind: "approval_answered", approval: "apr_1", answer: "denied", by: "", comment: "" },
      ],
    ],
    [
      "child r is not open",
      [{ kind: "child_ended", run: "r", status: "completed", output: 1, failure: null }],
    ],
    [
      "child r is not open",
      [
        { kind: "child_started", step: "a", key: "k", run: "r", workflow: "w" },
        { kind: "child_ended", run: "r", status: "completed", output: 1, failure: null },
        { kind: "child_ended", run: "r", status: "completed", output: 1, failure: null },
      ],
    ],
    ["attempt 2 of a does not follow 0", [started("a", 2)]],
    ["attempt 1 of a does not follow 1", [started("a"), started("a")]],
    ["step_started after the end of step a", [started("a"), succeeded("a"), started("a", 2)]],
    ["step a is not waiting", [started("a"), woken("a", null)]],
    ["signal s is not free", [started("a"), waiting("a"), woken("a", "s")]],
    [
      "signal s is not free",
      [signaled("s"), started("a"), waiting("a"), woken("a", "s"), waiting("a"), woken("a", "s")],
    ],
    ["effect 1/k of a, which has not begun", [recorded("k")]],
    ["effect 1/k of a has its outcome already", [started("a"), recorded("k"), intended("k")]],
    ["effect 1/k of a is recorded twice", [started("a"), recorded("k"), recorded("k")]],
    ["effect 1/k of a is not open", [started("a"), uncertain("k")]],
    ["effect 1/k of a is not open", [started("a"), intended("k"), recorded("k"), uncertain("k")]],
    ["a#0 is an instance of nothing", [started("a#0")]],
    ["a#0 is an instance of nothing", [started("a"), started("a#0")]],
    [
      "instance a#1 does not follow 0 others",
      [{ kind: "step_expanded", step: "a", items: [1, 2] }, started("a#1")],
    ],
  ])("is refused: %s (%#)", (message, bodies) => {
    expect(() => fold(journal(...bodies))).toThrow(new InvariantError(message));
  });

  it.each<[string, readonly Fact[]]>([
    ["nothing", []],
    ["another beginning", [{ kind: "run_started", worker: "w", seq: 1, at: 1 }]],
    ["a beginning elsewhere", [{ kind: "run_queued", request: request(), seq: 2, at: 1 }]],
  ])("is refused: %s", (_, facts) => {
    expect(() => fold(facts)).toThrow("a journal begins with run_queued, seq 1");
  });

  it("is refused where a fact is missing or repeated", () => {
    const [first, second, third] = journal(signaled("1"), signaled("2")) as [Fact, Fact, Fact];
    expect(() => fold([first, third])).toThrow("fact 3 does not follow 1");
    expect(() => fold([first, second, second])).toThrow("fact 2 does not follow 2");
  });

  it("is refused when it names a fact that nobody knows", () => {
    const unheard = { kind: "step_exploded", step: "a" } as unknown as FactBody;
    expect(() => fold(journal(unheard))).toThrow(/unreachable: .*step_exploded/);
  });
});

describe("what facts say", () => {
  it("a signal belongs to the wait it ended", () => {
    const state = fold(journal(signaled("s1"), signaled("s2"), started("a"), waiting("a"), woken("a", "s1")));
    expect(state.signals.map(({ id, takenBy }) => [id, takenBy])).toEqual([
      ["s1", "a/k"],
      ["s2", null],
    ]);
    expect(state.steps.get("a")).toMatchObject({ status: "running", waits: [] });
    expect(state.steps.get("a")?.resolved.get("k")).toEqual({ by: "signal", signal: "s1" });
  });

  it("an effect is open from its intent to its outcome, and a pure one has no intent", () => {
    const open = fold(journal(started("a"), intended("k"), uncertain("k"), recorded("p")));
    const { effects } = open.steps.get("a") ?? { effects: new Map() };
    expect(effects.get("1/k")).toMatchObject({ effect: "manual", result: null, askedBy: "apr_1" });
    expect(effects.get("1/p")).toMatchObject({
      effect: "pure",
      result: { ok: true, value: 5 },
      askedBy: null,
    });
    const again = evolve(open, [{ ...intended("k"), seq: open.lastSeq + 1, at: 1 }]);
    expect(again.steps.get("a")?.effects.get("1/k")).toMatchObject({ result: null, askedBy: null });
    const done = evolve(again, [{ ...recorded("k"), seq: again.lastSeq + 1, at: 1 }]);
    expect(done.steps.get("a")?.effects.get("1/k")).toMatchObject({ effect: "manual", result: { ok: true } });
  });

  it("a new attempt begins with no wait behind it, and an end leaves none", () => {
    const retrying: FactBody = { kind: "step_retrying", step: "a", attempt: 1, failure, nextAt: 5_000 };
    const before = fold(journal(started("a"), waiting("a"), woken("a", null), retrying));
    expect(before.steps.get("a")).toMatchObject({ status: "waiting", retryAt: 5_000, failure });
    const after = evolve(before, [{ ...started("a", 2), seq: before.lastSeq + 1, at: 6_000 }]);
    expect(after.steps.get("a")).toMatchObject({ attempt: 2, retryAt: null, startedAt: 6_000 });
    expect(after.steps.get("a")?.resolved.size).toBe(0);
    const ended = fold(journal(started("a"), waiting("a"), { ...failed("a") }));
    expect(ended.steps.get("a")).toMatchObject({ status: "failed", waits: [], endedAt: 1_003 });
  });

  it("a foreach knows how far it is without a look at its instances", () => {
    const expanded: FactBody = { kind: "step_expanded", step: "a", items: [1, 2, 3, 4] };
    const state = fold(
      journal(expanded, started("a#0"), started("a#1"), started("a#2"), failed("a#1"), failed("a#0"), {
        kind: "step_canceled",
        step: "a#2",
        attempt: 1,
        reason: "",
      }),
    );
    expect(state.steps.get("a")?.expanded).toMatchObject({ begun: 3, failed: { index: 0, failure } });
    expect(state.steps.get("a")?.expanded?.open.size).toBe(0);
    const late = fold(journal(expanded, started("a#0"), started("a#1"), failed("a#0"), failed("a#1")));
    expect(late.steps.get("a")?.expanded?.failed?.index).toBe(0);
    const open = fold(journal(expanded, started("a#0"), started("a#1"), succeeded("a#0", 5)));
    expect([...(open.steps.get("a")?.expanded?.open ?? [])].map(({ id }) => id)).toEqual(["a#1"]);
  });

  it("the first cancel stands, an artifact of the same id is replaced, a step's story changes nothing", () => {
    const artifact = { id: "d", name: "d", kind: "diff", mediaType: "text/plain", bytes: 1, sha256: "0" };
    const state = fold(
      journal(
        { kind: "cancel_requested", by: "ann", reason: "first" },
        { kind: "cancel_requested", by: "bob", reason: "second" },
        { kind: "artifact_saved", step: "a", artifact },
        { kind: "artifact_saved", step: "a", artifact: { ...artifact, bytes: 2 } },
        { kind: "message_sent", step: "a", to: "run_2", name: "go", id: "msg_1", body: null },
      ),
    );
    expect(state.cancel).toEqual({ by: "ann", reason: "first" });
    expect([...state.artifacts.values()]).toEqual([{ ...artifact, bytes: 2 }]);
    expect([...state.sent]).toEqual(["msg_1"]);
    const quiet: readonly FactBody[] = [
      { kind: "noted", step: "a", name: "turn", data: {} },
      { kind: "run_resumed_by", worker: "w" },
    ];
    const same = fold(journal(...quiet));
    expect(same).toEqual({ ...initialState(request(), 1_000), lastSeq: 3 });
  });

  it("a run's end holds its output or its failure", () => {
    expect(fold(journal({ kind: "run_completed", output: 9 }))).toMatchObject({
      status: "completed",
      output: 9,
    });
    expect(fold(journal({ kind: "run_failed", failure }))).toMatchObject({ status: "failed", failure });
    expect(fold(journal({ kind: "run_canceled", reason: "" }))).toMatchObject({
      status: "canceled",
      failure: null,
    });
  });
});

describe("any run", () => {
  const flow = workflow(
    [
      step("a", { retry: { maxAttempts: 2, backoff: { initialMs: 10, factor: 2, maxMs: 100 } } }),
      step("b", { needs: ["a"], foreach: { items: "[1, 2, 3]", maxParallel: 2, failFast: false } }),
      step("c", { needs: ["a"], if: "always()" }),
      step("d", { needs: ["b", "c"] }),
    ],
    { maxParallel: 3 },
  );
  const move = fc.constantFrom("ok", "fail", "retry", "wait", "signal", "effect", "pause", "crash");

  function live(moves: readonly string[]): Bench {
    const run = new Bench(flow);
    for (const [turn, kind] of moves.entries()) {
      run.now += 50;
      run.go();
      const under = [...run.active.keys()];
      const id = under[turn % Math.max(1, under.length)];
      if (run.last.end) break;
      if (kind === "crash") run.crash(fold);
      else if (kind === "pause")
        run.add([run.state.paused ? { kind: "run_unpaused", by: "p" } : { kind: "run_paused", by: "p" }]);
      else if (kind === "signal" || id === undefined) run.add([signaled(`s${turn}`)]);
      else if (kind === "effect") run.add([{ ...(recorded(`k${turn}`) as object), step: id } as FactBody]);
      else if (kind === "wait")
        run.end(id, { kind: "waiting", waits: [{ key: `k${turn}`, on: "signal", name: "go", until: null }] });
      else if (kind === "ok") run.end(id, { kind: "succeeded", output: turn });
      else run.end(id, { kind: "failed", failure: { ...failure, retryable: kind === "retry" } });
    }
    run.go();
    return run;
  }

  it("folds to the state it was driven in, however its journal is cut into pieces", () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), fc.nat(), fc.nat(), (moves, one, other) => {
        const { facts, state } = live(moves);
        expect(fold(facts)).toEqual(state);
        const [from, to] = [1 + (one % facts.length), 1 + (other % facts.length)].sort((a, b) => a - b);
        const pieces = evolve(evolve(fold(facts.slice(0, from)), facts.slice(from, to)), facts.slice(to));
        expect(pieces).toEqual(state);
      }),
    );
  });

  it("moves every status forward only", () => {
    const rank = { pending: 0, running: 1, waiting: 1, succeeded: 2, failed: 2, skipped: 2, canceled: 2 };
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const { facts } = live(moves);
        let state = fold(facts.slice(0, 1));
        for (const fact of facts.slice(1)) {
          expect(hasRunEnded(state.status)).toBe(false);
          const before = new Map([...state.steps].map(([id, { status }]) => [id, status]));
          state = evolve(state, [fact]);
          for (const [id, { status }] of state.steps) {
            const was = before.get(id) ?? "pending";
            expect(rank[status]).toBeGreaterThanOrEqual(rank[was]);
            if (hasStepEnded(was)) expect(status).toBe(was);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
