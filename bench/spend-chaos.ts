// Overspend under kill -9: real processes pay a real fake provider through the real gateway, one of them is killed each
// second, and the ledger is held against the provider's own books. Exit code 1 when it does not hold.
// node bench/spend-chaos.ts [--store sqlite|postgres|both] [--seconds 60] [--processes 8] [--concurrency 200] [--json]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatUsd } from "../src/domain/money.ts";
import { type ChaosReport, runChaos } from "../tests/spend/chaos/chaos.ts";
import type { Store } from "../tests/spend/chaos/shapes.ts";
import { startPostgres } from "../tests/support/postgres.ts";

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "both" },
    seconds: { type: "string", default: process.env.CHAOS_SECONDS ?? "60" },
    processes: { type: "string", default: "8" },
    concurrency: { type: "string", default: "200" },
    json: { type: "boolean", default: false },
  },
});
const LIMITS = { t0: 200_000, t1: 1_000_000, t2: 500_000_000, t3: 500_000_000 };

function measure(store: Store): Promise<ChaosReport> {
  return runChaos({
    store,
    limits: LIMITS,
    processes: Number(values.processes),
    concurrency: Number(values.concurrency),
    rhythm: { kind: "time", everyMs: 1_000, durationMs: Number(values.seconds) * 1_000 },
    holdMs: 10_000,
  });
}

function holds(report: ChaosReport): boolean {
  return report.tenants.every(
    (one) =>
      one.overspendMicros === 0 &&
      Math.abs(one.ledgerMicros - one.billedMicros) <= one.estimateErrorMicros &&
      one.seenBeyondMicros <= one.overshootMicros,
  );
}

function show(kind: string, report: ChaosReport): void {
  const { kills, seconds, requests, answered, refused, expired, late, estimated, heldAtEnd } = report;
  console.log(
    `\n${kind}: ${values.processes} processes × ${values.concurrency} calls, ${kills} kills in ${seconds} s`,
  );
  console.log(
    `  ${requests} requests at the provider, ${answered} answered, ${refused} refused, ${estimated} charged by estimate, ${expired} of killed processes, ${late} late, ${heldAtEnd} still held`,
  );
  for (const one of report.tenants) {
    const difference = one.ledgerMicros - one.billedMicros;
    console.log(
      `  ${one.tenant}: limit ${formatUsd(one.limitMicros)}, billed ${formatUsd(one.billedMicros)}, ledger ${formatUsd(one.ledgerMicros)} (${formatUsd(difference)}, declared ±${formatUsd(one.estimateErrorMicros)}), beyond the limit at most ${formatUsd(one.seenBeyondMicros)} (declared ${formatUsd(one.overshootMicros)}), overspend ${formatUsd(one.overspendMicros)}`,
    );
  }
  console.log(`  ${holds(report) ? "holds" : "DOES NOT HOLD"}`);
}

async function onSqlite(): Promise<ChaosReport> {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-pay-"));
  try {
    return await measure({ kind: "sqlite", path: join(folder, "pay.db") });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onPostgres(): Promise<ChaosReport> {
  const server = await startPostgres();
  try {
    return await measure({ kind: "postgres", url: await server.database() });
  } finally {
    await server.stop();
  }
}

const stores = { sqlite: onSqlite, postgres: onPostgres };
const reports: Record<string, ChaosReport> = {};
for (const [kind, run] of Object.entries(stores)) {
  if (values.store !== "both" && values.store !== kind) continue;
  const report = await run();
  reports[kind] = report;
  if (!values.json) show(kind, report);
}
if (values.json) console.log(JSON.stringify(reports, null, 2));
process.exitCode = Object.values(reports).every(holds) ? 0 : 1;
