// How long a run stands still when the process that drives it is killed: node bench/takeover.ts [--kills 5]
// From kill -9 to the durable fact that another process has taken the run over; on SQLite and on PostgreSQL, of a
// process of the same machine (whose death its neighbours see) and of another one (whose lease has to run out).
import { parseArgs } from "node:util";
import { ChaosHouse } from "../tests/chaos/house.ts";
import { SHAPES } from "../tests/chaos/shapes.ts";
import { startPostgres } from "../tests/support/postgres.ts";
import { until } from "../tests/support/until.ts";

const { values } = parseArgs({ options: { kills: { type: "string", default: "5" } } });
const kills = Number(values.kills);
const WITHIN_MS = 30_000;

async function takeover(house: ChaosHouse, host: string | undefined): Promise<number> {
  const endless = SHAPES.find(({ name }) => name === "canceled");
  if (endless === undefined) throw new Error("no endless shape");
  const first = await house.spawn(host === undefined ? {} : { host });
  const run = await house.admit(endless);
  const facts = async () => (await house.database.reader.factsOf(run, { after: 0, limit: 100 })) ?? [];
  const seen = (kind: string) =>
    until(kind, async () => ((await facts()).some((fact) => fact.kind === kind) ? true : null), WITHIN_MS);
  await seen("step_started");
  // Another one stands by, and neither is in its first moments.
  const second = await house.spawn();
  const began = performance.now();
  await house.kill(first);
  await seen("run_resumed_by");
  const took = performance.now() - began;
  await house.people(await house.openRuns());
  await house.untilEnded(WITHIN_MS);
  await house.stop(second);
  return took;
}

async function measure(name: string, url: string | null): Promise<void> {
  for (const [where, host, target] of [
    ["same machine", undefined, "≤ 1 s"],
    ["another machine", "elsewhere", "≤ 6 s"],
  ] as const) {
    const house = new ChaosHouse(url);
    await house.open();
    const took: number[] = [];
    for (let kill = 0; kill < kills; kill += 1) took.push(await takeover(house, host));
    took.sort((a, b) => a - b);
    const at = (share: number) =>
      `${((took[Math.floor((took.length - 1) * share)] ?? 0) / 1_000).toFixed(2)} s`;
    console.log(
      `${name.padEnd(12)} ${where.padEnd(16)} p50 ${at(0.5)}  worst ${at(1)}  of ${kills}  ${target}`,
    );
    await house.close();
  }
}

await measure("SQLite", null);
const server = await startPostgres({ fast: false });
await measure("PostgreSQL", await server.database());
await server.stop();
