import { parseDuration } from "../../base/duration.ts";
import type { SpendQuery, SpendSum } from "../../contracts/spend-ledger.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { pathOf, payerOf } from "../../domain/payer.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { unknownRun } from "../runs/find-run.ts";

export interface ReadSpend {
  /** `global`, `tenant:NAME`, `user:TENANT/NAME`, `run:ID` or `task:ID` (a run and all that it started). */
  readonly scope: string;
  /** A duration back from now (`24h`) or a moment; absent: all that is kept. */
  readonly since?: string;
  readonly until?: string;
}

/** Together. Micro-dollars. */
export type SpendTotal = Omit<SpendSum, "model" | "stage">;

export interface SpendReport {
  readonly scope: string;
  readonly since: number | null;
  readonly until: number | null;
  readonly total: SpendTotal;
  readonly byModel: readonly SpendSum[];
}

type Needs = Pick<Parts, "spend" | "reader">;

/** What was spent, by model and stage. */
export function readSpend(parts: Needs, asked: ReadSpend): Promise<Result<SpendReport>> {
  return asResult(async () => {
    const now = await parts.spend.ledger.now();
    const since = momentOf("since", asked.since, now);
    if (!since.ok) return since;
    const until = momentOf("until", asked.until, now);
    if (!until.ok) return until;
    const whose = await queryOf(parts, asked.scope);
    if (!whose.ok) return whose;
    const byModel = await parts.spend.ledger.spent({
      ...whose.value,
      ...(since.value === null ? {} : { since: since.value }),
      ...(until.value === null ? {} : { until: until.value }),
    });
    return ok({
      scope: asked.scope,
      since: since.value,
      until: until.value,
      total: totalOf(byModel),
      byModel,
    });
  });
}

const SCOPES = "global, tenant:NAME, user:TENANT/NAME, run:ID or task:ID";
const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/i;

async function queryOf(parts: Needs, scope: string): Promise<Result<SpendQuery>> {
  if (scope === "global") return ok({});
  const colon = scope.indexOf(":");
  const [kind, name] = [scope.slice(0, Math.max(0, colon)), scope.slice(colon + 1)];
  if (colon > 0 && name !== "") {
    if (kind === "tenant") return ok({ tenant: name });
    const slash = name.indexOf("/");
    if (kind === "user" && slash >= 0) {
      return ok({ tenant: name.slice(0, slash), user: name.slice(slash + 1) });
    }
    if (kind === "task") return ok({ path: name });
    if (kind === "run") return pathOfRun(parts, name);
  }
  return fail("invalid_request", `scope is ${JSON.stringify(scope)}; expected ${SCOPES}.`, {
    field: "scope",
  });
}

/** A run's spending lies below those it was started from; only its journal knows who they are. */
async function pathOfRun(parts: Needs, run: string): Promise<Result<SpendQuery>> {
  const [queued] = (await parts.reader.factsOf(run, { after: 0, limit: 1 })) ?? [];
  if (queued?.kind !== "run_queued") return unknownRun(run);
  return ok({ path: pathOf(payerOf(run, queued.request)) });
}

function momentOf(field: string, text: string | undefined, now: number): Result<number | null> {
  if (text === undefined) return ok(null);
  const span = parseDuration(text);
  const at = span === null ? (MOMENT.test(text) ? Date.parse(text) : Number.NaN) : now - span;
  if (Number.isSafeInteger(Math.round(at))) return ok(Math.round(at));
  const expected = 'a duration back from now like "24h", a day or a moment like "2026-01-31T12:00:00Z"';
  return fail("invalid_request", `${field} is ${JSON.stringify(text)}; expected ${expected}.`, { field });
}

export function totalOf(sums: readonly SpendSum[]): SpendTotal {
  const add = (pick: (sum: SpendSum) => number) => sums.reduce((total, sum) => total + pick(sum), 0);
  return {
    calls: add((sum) => sum.calls),
    chargedMicros: add((sum) => sum.chargedMicros),
    estimatedMicros: add((sum) => sum.estimatedMicros),
    heldMicros: add((sum) => sum.heldMicros),
    presumedMicros: add((sum) => sum.presumedMicros),
    unpricedCalls: add((sum) => sum.unpricedCalls),
    inputTokens: add((sum) => sum.inputTokens),
    outputTokens: add((sum) => sum.outputTokens),
  };
}
