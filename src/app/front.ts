import { createPrometheus } from "../adapters/metrics/prometheus.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../contracts/log.ts";
import type { Metrics } from "../contracts/metrics.ts";
import { classOf } from "../domain/admission-rules.ts";
import { FailureError } from "../domain/errors.ts";
import type { WrittenFacts } from "../engine/parts.ts";
import { Desk, type DeskEvent } from "../operations/admission/desk.ts";
import { resizeTenantSlots } from "../operations/admission/resize-slots.ts";
import type { Config } from "./config.ts";
import type { Database } from "./database.ts";
import { type LiveRules, liveRules, readLimits } from "./limits.ts";

/** What stands before the store: rules, figures, and the desk that lets work in. */
export interface Front {
  readonly rules: LiveRules;
  readonly metrics: Metrics;
  readonly desk: Desk;
}

/** A flood of refusals is one line a kind, with their number, at most so often. */
const LOG_EVERY_MS = 1_000;

/** Rejects with the failure of a limits file that cannot be used: nobody should start with other limits than meant. */
export async function createFront(
  config: Config,
  ground: { readonly database: Database; readonly clock: Clock; readonly log: Log },
): Promise<Front> {
  const { database, clock, log } = ground;
  const first = await readLimits(config.limits);
  if (!first.ok) throw new FailureError(first.failure);
  const rules = liveRules({
    first: first.value,
    configured: config.limits !== null,
    resize: (now) => resizeTenantSlots(database, now),
  });
  const settled = await rules.settle();
  if (!settled.ok) throw new FailureError(settled.failure);
  const metrics = createPrometheus({ process: true });
  const { reader, rates } = database;
  const desk = new Desk({ reader, rates, clock, metrics, rules: () => rules.current() });
  desk.watch(logged(log, clock));
  return { rules, metrics, desk };
}

function logged(log: Log, clock: Clock): (event: DeskEvent) => void {
  const held = new Map<string, { count: number; last: DeskEvent }>();
  const tell = (key: string) => {
    const { count, last } = held.get(key) ?? {};
    held.delete(key);
    if (last === undefined) return;
    const { kind, scope, class: name, tenant, code } = last;
    log.warn({ event: kind, scope, class: name, tenant, code, count }, "work was turned away");
  };
  return (event) => {
    const key = `${event.kind} ${event.scope} ${event.class}`;
    const known = held.get(key);
    if (known === undefined) clock.after(LOG_EVERY_MS, () => tell(key));
    held.set(key, { count: (known?.count ?? 0) + 1, last: event });
  };
}

/** Counts what this process's worker wrote. */
export function observed({
  metrics,
  rules,
}: Pick<Front, "metrics" | "rules">): (written: WrittenFacts) => void {
  const SECOND = 1_000;
  return ({ facts, request, queuedAt }) => {
    const name = request.sla?.class ?? classOf(rules.current(), request.priority);
    const seconds = (at: number) => Math.max(0, at - queuedAt) / SECOND;
    const ended = (status: string, at: number, code: string) => {
      metrics.count("runs_ended_total", { status, code });
      metrics.observe("run_seconds", seconds(at), { class: name, status });
    };
    for (const fact of facts) {
      switch (fact.kind) {
        case "run_started":
          metrics.observe("run_wait_seconds", seconds(fact.at), { class: name });
          break;
        case "sla_breached":
          metrics.count("sla_breaches_total", { what: fact.what, class: name });
          break;
        case "step_retrying":
          metrics.count("retries_total", { budget: "granted" });
          break;
        case "retry_budget_exhausted":
          metrics.count("retries_total", { budget: fact.delayMs === null ? "refused" : "delayed" });
          break;
        case "run_completed":
          ended("completed", fact.at, "");
          break;
        case "run_failed":
          ended("failed", fact.at, fact.failure.code);
          break;
        case "run_canceled":
          ended("canceled", fact.at, "canceled");
      }
    }
  };
}
