import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { type ChaosReport, runChaos } from "./chaos/chaos.ts";
import type { Store } from "./chaos/shapes.ts";

/** The small form of `bench/spend-chaos.ts`, which is the proof. */
const SMALL = {
  processes: 2,
  concurrency: 20,
  rhythm: { kind: "calls", kills: 3, calls: 40 },
  holdMs: 1_500,
} as const;
/** Two tenants run out, two do not. */
const LIMITS = { t0: 20_000, t1: 60_000, t2: 50_000_000, t3: 50_000_000 };

/** What must hold whatever was killed when. */
function judge(report: ChaosReport): void {
  expect(report.kills).toBe(SMALL.rhythm.kills);
  expect(report.requests).toBeGreaterThan(SMALL.rhythm.calls);
  expect(report.expired).toBeGreaterThan(0);
  expect(report.refused).toBeGreaterThan(0);
  expect(report.heldAtEnd).toBe(0);
  // Nothing was sent that the ledger had not seen first.
  expect(report.requests).toBeLessThanOrEqual(report.entries);
  for (const tenant of report.tenants) {
    expect(tenant.overspendMicros, JSON.stringify(tenant)).toBe(0);
    const difference = Math.abs(tenant.ledgerMicros - tenant.billedMicros);
    expect(difference, JSON.stringify(tenant)).toBeLessThanOrEqual(tenant.estimateErrorMicros);
    expect(tenant.seenBeyondMicros, JSON.stringify(tenant)).toBeLessThanOrEqual(tenant.overshootMicros);
  }
}

describe("processes that pay are killed, and the ledger agrees with the provider's books", () => {
  let server: TestPostgres;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "agent-runner-pay-"));
    server = await startPostgres();
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const stores: Readonly<Record<string, () => Promise<Store>>> = {
    sqlite: async () => ({ kind: "sqlite", path: join(folder, "pay.db") }),
    postgres: async () => ({ kind: "postgres", url: await server.database() }),
  };
  it.each(Object.keys(stores))("on %s", { timeout: 180_000 }, async (kind) => {
    const store = await stores[kind]!();
    judge(await runChaos({ ...SMALL, store, limits: LIMITS }));
  });
});
