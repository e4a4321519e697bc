import type { Json, JsonObject } from "../base/json.ts";
import { advance, numbered } from "./advance.ts";
import { conclude } from "./conclude.ts";
import type { Decision } from "./decide.ts";
import type { StepOrder } from "./draft.ts";
import { evolve, initialState } from "./evolve.ts";
import type { Fact, FactBody, RunRequest } from "./fact.ts";
import type { Outcome } from "./outcome.ts";
import { type Plan, planOf } from "./plan.ts";
import { NO_RETRY } from "./retry.ts";
import type { RunState } from "./state.ts";
import type { Expressions, Scope, StepSpec, Workflow } from "./workflow.ts";

/** A language small enough to be read at a glance: paths, `true`, `false`, lists, and the three status functions. */
export const tinyExpressions: Expressions = {
  evaluate(expression, scope) {
    if (expression === "success()") return { ok: true, value: scope.status.success };
    if (expression === "failure()") return { ok: true, value: scope.status.failure };
    if (expression === "always()") return { ok: true, value: true };
    if (/^[[{"\d]|^(true|false|null)$/.test(expression)) return { ok: true, value: JSON.parse(expression) };
    let value: unknown = scope;
    for (const part of expression.split(".")) {
      value = (value as Record<string, unknown> | null | undefined)?.[part];
      if (value === undefined) return { ok: false, message: `no ${part} in ${expression}` };
    }
    return { ok: true, value: value as Json };
  },
  check: () => null,
  asksStatus: (expression) => /(success|failure|always)\(\)/.test(expression),
};

export function step(id: string, more: Partial<StepSpec> = {}): StepSpec {
  return { id, uses: "noop", with: {}, needs: [], retry: NO_RETRY, onFailure: { kind: "fail" }, ...more };
}

export function workflow(steps: readonly StepSpec[], more: Partial<Workflow> = {}): Workflow {
  return {
    name: "test",
    version: "1",
    description: "",
    hash: "h",
    inputs: {},
    outputs: {},
    maxParallel: 8,
    steps,
    ...more,
  };
}

export function request(more: Partial<RunRequest> = {}): RunRequest {
  return {
    workflow: { name: "test", version: "1", hash: "h" },
    inputs: {},
    title: "t",
    tenant: "default",
    queue: "default",
    priority: 5,
    deadlineAt: null,
    parent: null,
    ...more,
  };
}

/** The pure heart driven by hand: no store, no clock, no promises. */
export class Bench {
  readonly plan: Plan;
  readonly facts: Fact[] = [];
  readonly active = new Map<string, StepOrder>();
  state: RunState;
  now = 1_000;
  random = 0.5;
  last: Pick<Decision, "abort" | "rest" | "end" | "wakeAt"> = {
    abort: [],
    rest: null,
    end: null,
    wakeAt: null,
  };

  constructor(flow: Workflow, asked: Partial<RunRequest> = {}) {
    this.plan = planOf(flow);
    const queued = request(asked);
    this.facts.push({ kind: "run_queued", request: queued, seq: 1, at: this.now });
    this.state = initialState(queued, this.now);
  }

  /** Decides, and takes what is ordered as under way. Returns the ids of steps newly under way. */
  go(): readonly string[] {
    const next = advance(this.state, {
      run: "run_1",
      worker: "w1",
      plan: this.plan,
      now: this.now,
      expressions: tinyExpressions,
      active: new Set(this.active.keys()),
    });
    this.state = next.state;
    this.facts.push(...next.facts);
    this.last = next;
    for (const order of next.perform) this.active.set(order.step, order);
    return next.perform.map((order) => order.step);
  }

  add(bodies: readonly FactBody[]): void {
    const facts = numbered(this.state, bodies, this.now);
    this.state = evolve(this.state, facts);
    this.facts.push(...facts);
  }

  end(id: string, outcome: Outcome): void {
    const order = this.active.get(id);
    if (!order) throw new Error(`${id} is not under way`);
    this.active.delete(id);
    const done = { step: id, attempt: order.attempt, outcome };
    this.add(
      conclude(this.state, done, {
        run: "run_1",
        plan: this.plan,
        now: this.now,
        random: this.random,
        expressions: tinyExpressions,
      }),
    );
  }

  succeed(id: string, output: Json = null): readonly string[] {
    this.end(id, { kind: "succeeded", output });
    return this.go();
  }

  fail(id: string, code = "tool_failed", retryable = false): readonly string[] {
    this.end(id, { kind: "failed", failure: { code, message: `${id} broke`, retryable } });
    return this.go();
  }

  /** The process died: what was under way is forgotten, the journal is not. */
  crash(fold: (facts: readonly Fact[]) => RunState): void {
    this.active.clear();
    this.state = fold(this.facts);
  }

  status(id: string): string {
    return this.state.steps.get(id)?.status ?? "pending";
  }

  story(): readonly string[] {
    return this.facts.map((fact) => ("step" in fact ? `${fact.kind} ${fact.step}` : fact.kind));
  }
}

export type { JsonObject, Scope };
