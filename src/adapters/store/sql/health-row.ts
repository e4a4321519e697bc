import type { SharedHealth } from "../../../domain/shared-health.ts";

export interface HealthRow {
  readonly account: string;
  readonly model: string;
  readonly version: number;
  readonly phase: number;
  readonly open_until: number | null;
  readonly openings: number;
  /** A number in SQLite. */
  readonly quarantined: boolean | number;
  readonly probe_by: string | null;
  readonly probe_until: number;
  readonly limited_until: number;
  readonly ttft_ms: number | null;
  readonly ttft_at: number;
  readonly by: string;
  readonly at: number;
}

/** Rows that nobody has changed for so long are cleared away by the next change. */
export const HEALTH_KEPT_MS = 7 * 86_400_000;

/** In the order of `healthValues`; version and time are the database's to give. */
const COLUMNS = [
  "account",
  "model",
  "phase",
  "open_until",
  "openings",
  "quarantined",
  "probe_by",
  "probe_until",
  "limited_until",
  "ttft_ms",
  "ttft_at",
  "by",
] as const;

/** Takes the values and then the version that was seen; `now` is an expression, `value` writes the n-th parameter. */
export function swapSql(now: string, value: (n: number) => string): string {
  const values = COLUMNS.map((_, index) => value(index + 1)).join(", ");
  const changes = COLUMNS.slice(2).map((name) => `${name} = excluded.${name}`);
  return `INSERT INTO model_health (${COLUMNS.join(", ")}, version, at) VALUES (${values}, 1, ${now})
    ON CONFLICT (account, model) DO UPDATE SET ${changes.join(", ")}, version = model_health.version + 1, at = excluded.at
      WHERE model_health.version = ${value(COLUMNS.length + 1)} RETURNING *`;
}

export function healthValues(row: SharedHealth): readonly (string | number | boolean | null)[] {
  return [
    row.account,
    row.model,
    row.phase,
    row.openUntil,
    row.openings,
    row.quarantined,
    row.probeBy,
    row.probeUntil,
    row.limitedUntil,
    row.ttftMs,
    row.ttftAt,
    row.by,
  ];
}

export function toSharedHealth(row: HealthRow): SharedHealth {
  return {
    model: row.model,
    account: row.account,
    version: row.version,
    phase: row.phase,
    openUntil: row.open_until,
    openings: row.openings,
    quarantined: row.quarantined === true || row.quarantined === 1,
    probeBy: row.probe_by,
    probeUntil: row.probe_until,
    limitedUntil: row.limited_until,
    ttftMs: row.ttft_ms,
    ttftAt: row.ttft_at,
    by: row.by,
    at: row.at,
  };
}
