import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../contracts/metrics.ts";
import type { RateAsk, RateLimitStore } from "../../contracts/rate-limit-store.ts";
import type { QueueLoad, RunReader } from "../../contracts/run-store.ts";
import {
  decideAdmission,
  type Entry,
  estimateWait,
  type Load,
  type RefusalScope,
  type Verdict,
} from "../../domain/admission.ts";
import { type AdmissionRules, classOf, tenantRules } from "../../domain/admission-rules.ts";
import { type Failure, failure, ok, type Result } from "../../domain/errors.ts";
import { type Rate, rateTerms } from "../../domain/rate-limit.ts";
import type { Caller } from "../caller.ts";
import { ExpectedTimes } from "./expected-time.ts";
import { RecentLoad } from "./recent-load.ts";

/** Something that was turned away, or gave way. */
export interface DeskEvent {
  readonly kind: "throttled" | "dropped_low_priority";
  /** ms since the epoch. */
  readonly at: number;
  readonly scope: RefusalScope;
  readonly class: string;
  readonly tenant: string;
  readonly code: string;
  readonly retryAfterMs: number | null;
  /** Those that gave way. */
  readonly runs: readonly string[];
}

/** What this process turned away since it started. */
export interface DeskCounts {
  /** ms since the epoch. */
  readonly since: number;
  readonly admitted: number;
  readonly dropped: number;
  readonly refused: readonly {
    readonly scope: RefusalScope;
    readonly class: string;
    readonly count: number;
  }[];
}

export interface DeskParts {
  readonly reader: Pick<RunReader, "load" | "runs">;
  readonly clock: Clock;
  readonly rules: () => AdmissionRules;
  readonly rates: RateLimitStore;
  readonly metrics: Metrics;
}

/**
 * Where work is let in or turned away, before the store is asked to take it. One per process: it remembers the load
 * it saw last and counts what it did.
 */
export class Desk {
  readonly #parts: DeskParts;
  readonly #load: RecentLoad;
  readonly #times: ExpectedTimes;
  readonly #since: number;
  readonly #refused = new Map<string, DeskCounts["refused"][number]>();
  readonly #listeners = new Set<(event: DeskEvent) => void>();
  #admitted = 0;
  #dropped = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#load = new RecentLoad(parts);
    this.#times = new ExpectedTimes(parts);
    this.#since = parts.clock.now();
  }

  rules(): AdmissionRules {
    return this.#parts.rules();
  }

  load(): Promise<{ readonly load: Load; readonly store: QueueLoad }> {
    return this.#load.get();
  }

  /** Counts one request against the rates of the tenant and the principal. */
  async rate(caller: Caller): Promise<Result<null>> {
    const rates = ratesOf(this.rules(), caller);
    if (rates.length === 0) return ok(null);
    const taken = await this.#parts.rates.take(rates);
    if (taken.allowed) return ok(null);
    const limited = rates.find(({ key }) => key === taken.key) ?? rates[0];
    if (limited === undefined) return ok(null);
    const refusal = rateLimited(caller, limited, taken.retryAfterMs);
    this.refused(limited.scope, refusal, { tenant: caller.tenant, class: this.rules().defaultClass });
    return { ok: false, failure: refusal };
  }

  /** By what is known here; the store counts again, exactly. */
  async judge(entry: Omit<Entry, "expectedMs">, workflow: string): Promise<Verdict> {
    const [{ load }, expectedMs] = await Promise.all([
      this.#load.get(),
      entry.deadlineAt === null ? null : this.#times.of(workflow),
    ]);
    const now = this.#parts.clock.now();
    const verdict = decideAdmission(this.rules(), load, { ...entry, expectedMs, now });
    if (verdict.kind === "refuse") {
      this.refused(verdict.scope, verdict.failure, { tenant: entry.tenant, class: this.#classOf(entry) });
    }
    return verdict;
  }

  /** The wait of a run that came now; `null` when nobody can tell. */
  async wait(entry: Pick<Entry, "tenant" | "priority">): Promise<number | null> {
    return estimateWait(this.rules(), (await this.#load.get()).load, entry);
  }

  admitted(entry: Pick<Entry, "tenant" | "priority">, dropped: readonly string[]): void {
    this.#load.add(entry);
    this.#admitted += 1;
    this.#parts.metrics.count("admissions_total", { class: this.#classOf(entry) });
    if (dropped.length === 0) return;
    this.#dropped += dropped.length;
    this.#parts.metrics.count("dropped_low_priority_total", {}, dropped.length);
    this.#tell({
      kind: "dropped_low_priority",
      at: this.#parts.clock.now(),
      scope: "queue",
      class: this.#classOf(entry),
      tenant: entry.tenant,
      code: "dropped_low_priority",
      retryAfterMs: null,
      runs: dropped,
    });
  }

  refused(scope: RefusalScope, why: Failure, of: { readonly tenant: string; readonly class: string }): void {
    const { metrics, clock } = this.#parts;
    const key = `${scope} ${of.class}`;
    const known = this.#refused.get(key) ?? { scope, class: of.class, count: 0 };
    this.#refused.set(key, { ...known, count: known.count + 1 });
    metrics.count("refusals_total", { scope, class: of.class, code: why.code });
    metrics.count("throttled_total", { scope });
    const event = { scope, class: of.class, tenant: of.tenant, code: why.code, runs: [] };
    this.#tell({ kind: "throttled", at: clock.now(), ...event, retryAfterMs: retryAfterOf(why) });
  }

  counts(): DeskCounts {
    return {
      since: this.#since,
      admitted: this.#admitted,
      dropped: this.#dropped,
      refused: [...this.#refused.values()],
    };
  }

  /** Returns the unsubscribe. */
  watch(listener: (event: DeskEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #classOf({ priority }: Pick<Entry, "priority">): string {
    return classOf(this.rules(), priority);
  }

  #tell(event: DeskEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

type KeyedRate = RateAsk & { readonly scope: "tenant" | "principal"; readonly rate: Rate };

function ratesOf(rules: AdmissionRules, { tenant, principal }: Caller): readonly KeyedRate[] {
  const own = tenantRules(rules, tenant);
  const asks: KeyedRate[] = [];
  const add = (key: string, scope: KeyedRate["scope"], rate: Rate | null) => {
    if (rate !== null) asks.push({ key, scope, rate, terms: rateTerms(rate) });
  };
  add(`tenant:${tenant}`, "tenant", own.rate);
  if (principal !== null) add(`principal:${tenant}/${principal}`, "principal", own.principalRate);
  return asks;
}

const UNITS: Readonly<Record<number, string>> = { 1000: "s", 60000: "min", 3600000: "h" };

function rateLimited(caller: Caller, { scope, rate }: KeyedRate, retryAfterMs: number): Failure {
  const { count, perMs, burst } = rate;
  const who =
    scope === "tenant"
      ? `Tenant ${JSON.stringify(caller.tenant)}`
      : `Principal ${JSON.stringify(caller.principal)} of tenant ${JSON.stringify(caller.tenant)}`;
  return failure(
    "rate_limited",
    `${who} may start ${count}/${UNITS[perMs] ?? `${perMs}ms`}, ${burst} at once; the next is possible in ${retryAfterMs} ms.`,
    {
      scope,
      tenant: caller.tenant,
      ...(scope === "principal" ? { principal: caller.principal } : {}),
      rate: { count, per_ms: perMs, burst },
      retry_after_ms: retryAfterMs,
    },
  );
}

function retryAfterOf({ details }: Failure): number | null {
  const given = (details as { readonly retry_after_ms?: unknown } | null | undefined)?.retry_after_ms;
  return typeof given === "number" ? given : null;
}
