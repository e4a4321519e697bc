import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { seeded } from "../simulation/random.ts";
import { type Network, startNetwork, whyNoNetwork } from "../support/network.ts";
import { emptyDatabase, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { Calamity } from "./faults.ts";
import { ChaosHouse } from "./house.ts";
import { brokenLaws } from "./laws.ts";
import { SHAPES } from "./shapes.ts";

// FAULTS=500 for a whole evening's worth in some minutes; FAULT_SEED=17 for other instants.
const faults = Number(process.env.FAULTS ?? 16);
const seed = Number(process.env.FAULT_SEED ?? 1);
const PROCESSES = 3;
/** Runs that are under way at the same time: enough for every process, and each fault finds some in its middle. */
const UNDER_WAY = 12;
const HEALED_MS = 120_000;

describe("faults on PostgreSQL with three processes", { timeout: 3_600_000 }, () => {
  let server: TestPostgres;
  let url: string;
  let house: ChaosHouse;
  let network: Network | null = null;

  beforeAll(async () => {
    const why = whyNoNetwork();
    if (why === null) network = await startNetwork(PROCESSES);
    else process.stdout.write(`no process is on a network of its own: ${why}\n`);
    // Every commit waits for the disk: crashes of the server are part of it.
    server = await startPostgres({ fast: false, ...(network === null ? {} : { network }) });
    url = await server.database();
  });
  afterEach(async () => {
    await house.close();
    await emptyDatabase(url);
  });
  afterAll(async () => {
    await server?.stop();
    await network?.close();
  });

  it(`${faults} faults: nothing lost, nothing that was recorded repeated`, async () => {
    house = new ChaosHouse(url);
    await house.open();
    const calamity = new Calamity({ house, server, url, random: seeded(seed), network });
    const refill = async () => {
      for (let open = (await house.patiently(() => house.openRuns())).length; open < UNDER_WAY; open += 1)
        await house.admit(SHAPES[house.runs.length % SHAPES.length] as (typeof SHAPES)[number]);
    };
    await refill();
    await calamity.begin(PROCESSES);
    // Each kind once, then as chance has it.
    for (const fault of calamity.faults) {
      await refill();
      await calamity.strike(fault);
      await house.patiently(async () => house.people(await house.openRuns()));
    }
    while (calamity.total < faults) {
      await refill();
      await calamity.strike();
      await house.patiently(async () => house.people(await house.openRuns()));
    }
    await calamity.end();
    expect(await house.untilEnded(HEALED_MS)).toEqual([]);
    await calamity.stop();
    expect(await house.disagreements()).toEqual([]);
    expect(await brokenLaws(url)).toEqual([]);
    const each = [...calamity.counts].map(([fault, count]) => `${fault} ${count}`).join(", ");
    process.stdout.write(
      `${calamity.total} faults (${each}); ${house.runs.length} runs, 0 lost, 0 repeated\n`,
    );
    for (const count of calamity.counts.values()) expect(count).toBeGreaterThan(0);
  });
});
