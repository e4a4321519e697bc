import { LIMITS } from "./limits.ts";
import type { StepSpec } from "./workflow.ts";

/**
 * What makes a list of steps a graph that can run.
 *
 * - Ids are unique; `needs` and `on_failure.run` name steps of the same workflow, each once.
 * - A step waits for its needs. A **handler** (a step that some `on_failure.run` names) also waits for the
 *   steps it handles, and is started only by the failure of one of them. These edges together have no cycle.
 * - A step can be reached: its condition is not literally `false`; unless its condition asks for the status
 *   (`success()`, `failure()`, `always()`), it needs no step that can never run, and it does not need, directly
 *   or through others, both a step and the handler of that step: of the two only one can succeed.
 * - A handler needs no step that itself needs the failed one: that step is skipped when the handler is due.
 */
export interface GraphIssue {
  /** Inside the list of steps, e.g. `[2, "needs", 0]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly expected?: string;
  /** The name that is wrong, and the names that would be right. */
  readonly name?: string;
  readonly candidates?: readonly string[];
}

export interface GraphOptions {
  /** As `Expressions.asksStatus`. */
  readonly asksStatus: (expression: string) => boolean;
}

/** Every reason why the steps make no graph that can run; `[]` when they do. */
export function checkGraph(steps: readonly StepSpec[], options: GraphOptions): readonly GraphIssue[] {
  if (steps.length === 0) {
    return [{ path: [], message: "a workflow has at least one step", expected: "a list of steps" }];
  }
  if (steps.length > LIMITS.workflowSteps) {
    const message = `${steps.length} steps are more than a workflow may have`;
    return [{ path: [], message, expected: `at most ${LIMITS.workflowSteps} steps` }];
  }
  const names = [...duplicateIds(steps), ...unknownNames(steps)];
  if (names.length > 0) return names;
  const cycle = findCycle(steps);
  return cycle === null ? unreachable(steps, options) : [cycle];
}

/** Step ids so that each comes behind what it waits for, otherwise in the order written; `null` when there is a cycle. */
export function topologicalOrder(steps: readonly StepSpec[]): readonly string[] | null {
  const waits = waitsFor(steps);
  const order: string[] = [];
  const placed = new Set<string>();
  let rest = steps.map((step) => step.id);
  while (rest.length > 0) {
    const later: string[] = [];
    for (const id of rest) {
      if ((waits.get(id) as string[]).some((need) => !placed.has(need))) {
        later.push(id);
      } else {
        placed.add(id);
        order.push(id);
      }
    }
    if (later.length === rest.length) return null;
    rest = later;
  }
  return order;
}

/** For each step the steps that may have ended when it starts: its needs and what it handles, and theirs in turn. */
export function ancestors(steps: readonly StepSpec[]): ReadonlyMap<string, ReadonlySet<string>> {
  return closure(steps, waitsFor(steps));
}

/** id → ids that the step directly waits for: needs, then the steps that it handles. */
function waitsFor(steps: readonly StepSpec[]): Map<string, string[]> {
  const waits = new Map(steps.map((step) => [step.id, [...step.needs]]));
  for (const step of steps) {
    if (step.onFailure.kind === "run") waits.get(step.onFailure.step)?.push(step.id);
  }
  return waits;
}

function closure(
  steps: readonly StepSpec[],
  edges: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Map<string, Set<string>>();
  for (const step of steps) {
    const seen = new Set<string>();
    const open = [...(edges.get(step.id) as readonly string[])];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      open.push(...(edges.get(id) ?? []));
    }
    all.set(step.id, seen);
  }
  return all;
}

function duplicateIds(steps: readonly StepSpec[]): GraphIssue[] {
  const first = new Map<string, number>();
  const issues: GraphIssue[] = [];
  for (const [index, step] of steps.entries()) {
    const earlier = first.get(step.id);
    if (earlier === undefined) {
      first.set(step.id, index);
      continue;
    }
    issues.push({
      path: [index, "id"],
      message: `step id \`${step.id}\` is already taken by step ${earlier + 1}`,
      expected: "an id that is unique in the workflow",
    });
  }
  return issues;
}

function unknownNames(steps: readonly StepSpec[]): GraphIssue[] {
  const ids = new Set(steps.map((step) => step.id));
  const issues: GraphIssue[] = [];
  for (const [index, step] of steps.entries()) {
    const others = [...ids].filter((id) => id !== step.id);
    const check = (name: string, path: readonly (string | number)[], self: string): void => {
      const known = { name, candidates: others, expected: "the id of another step of this workflow" };
      if (name === step.id) issues.push({ path, message: `step \`${step.id}\` ${self} itself`, ...known });
      else if (!ids.has(name)) issues.push({ path, message: `there is no step \`${name}\``, ...known });
    };
    for (const [at, need] of step.needs.entries()) {
      check(need, [index, "needs", at], "needs");
      if (step.needs.indexOf(need) < at) {
        issues.push({ path: [index, "needs", at], message: `\`${need}\` is already listed` });
      }
    }
    if (step.onFailure.kind === "run") check(step.onFailure.step, [index, "on_failure", "run"], "handles");
  }
  return issues;
}

function findCycle(steps: readonly StepSpec[]): GraphIssue | null {
  const waits = waitsFor(steps);
  const done = new Set<string>();
  for (const start of steps) {
    const trail: string[] = [];
    const visit = (id: string): readonly string[] | null => {
      const seenAt = trail.indexOf(id);
      if (seenAt !== -1) return [...trail.slice(seenAt), id];
      if (done.has(id)) return null;
      trail.push(id);
      for (const need of waits.get(id) as string[]) {
        const cycle = visit(need);
        if (cycle !== null) return cycle;
      }
      trail.pop();
      done.add(id);
      return null;
    };
    const cycle = visit(start.id);
    if (cycle !== null) return cycleIssue(steps, cycle);
  }
  return null;
}

function cycleIssue(steps: readonly StepSpec[], cycle: readonly string[]): GraphIssue {
  const from = cycle[0] as string;
  const to = cycle[1] as string;
  const message = `the steps wait for each other in a circle: ${cycle.join(" → ")}`;
  const expected = "steps that wait only for earlier ones; a handler waits for the step it handles";
  const index = steps.findIndex((step) => step.id === from);
  const at = (steps[index] as StepSpec).needs.indexOf(to);
  if (at !== -1) return { path: [index, "needs", at], message, expected };
  const handled = steps.findIndex((step) => step.id === to);
  return { path: [handled, "on_failure", "run"], message, expected };
}

function unreachable(steps: readonly StepSpec[], options: GraphOptions): GraphIssue[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const asks = (step: StepSpec): boolean => step.if !== undefined && options.asksStatus(step.if);
  const needed = closure(steps, new Map(steps.map((step) => [step.id, asks(step) ? [] : step.needs])));
  const handled = steps.flatMap((step) =>
    step.onFailure.kind === "run" ? [{ step: step.id, handler: step.onFailure.step }] : [],
  );
  const never = new Set<string>();
  const issues: GraphIssue[] = [];
  for (const id of topologicalOrder(steps) as readonly string[]) {
    const step = byId.get(id) as StepSpec;
    const issue = whyNever(step, { asks: asks(step), never, needed: needed.get(id) as Set<string>, handled });
    if (issue === null) continue;
    never.add(id);
    const index = steps.indexOf(step);
    const expected = "a step that can run; remove it, or change its condition or its needs";
    issues.push({ path: [index, ...issue.path], message: `\`${id}\` can never run: ${issue.why}`, expected });
  }
  return issues;
}

interface Reach {
  readonly asks: boolean;
  /** Steps already found never to run. */
  readonly never: ReadonlySet<string>;
  /** Steps that must have succeeded for this one to run. */
  readonly needed: ReadonlySet<string>;
  readonly handled: readonly { readonly step: string; readonly handler: string }[];
}

function whyNever(
  step: StepSpec,
  reach: Reach,
): { readonly path: readonly (string | number)[]; readonly why: string } | null {
  if (step.if?.trim() === "false") return { path: ["if"], why: "its condition is always false" };
  if (reach.asks) return null;
  for (const [at, need] of step.needs.entries()) {
    if (reach.never.has(need)) return { path: ["needs", at], why: `it needs \`${need}\`, which never runs` };
  }
  for (const { step: failed, handler } of reach.handled) {
    if (reach.needed.has(failed) && (handler === step.id || reach.needed.has(handler))) {
      const role =
        handler === step.id
          ? `it runs when \`${failed}\` has failed, and needs that it has succeeded`
          : `it needs both \`${failed}\` and \`${handler}\`, which runs only when \`${failed}\` has failed`;
      return { path: ["needs"], why: role };
    }
  }
  return null;
}
