import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Desk } from "../support/cli.ts";
import { type Island, type Network, startNetwork, whyNoNetwork } from "../support/network.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { until } from "../support/until.ts";
import { ChaosHouse } from "./house.ts";
import { brokenLaws } from "./laws.ts";
import { HELD, SHAPES } from "./shapes.ts";

const why = whyNoNetwork();
const name = `workers on networks of their own${why === null ? "" : ` (left out: ${why})`}`;
const ENDED_MS = 90_000;
const SEEN_MS = 60_000;
/** Of a line that is as bad as lines get. */
const LOST_PERCENT = 30;
const GAPS = 3;
const GAP_MS = 700;

describe.skipIf(why !== null)(name, { timeout: 300_000 }, () => {
  let network: Network;
  let server: TestPostgres;
  let url: string;
  let house: ChaosHouse;
  let client: pg.Client;
  let desk: Desk;

  beforeAll(async () => {
    network = await startNetwork(3);
    server = await startPostgres({ network });
  });
  beforeEach(async () => {
    url = await server.database();
    house = new ChaosHouse(url);
    await house.open();
    client = new pg.Client({ connectionString: url });
    await client.connect();
    desk = new Desk();
  });
  afterEach(async () => {
    await desk.close();
    for (const island of network.islands) await island.mend();
    await client.end();
    await house.close();
  });
  afterAll(async () => {
    await server?.stop();
    await network?.close();
  });

  const island = (n: number): Island => {
    const found = network.islands[n];
    if (found === undefined) throw new Error(`no island ${n}`);
    return found;
  };
  const spawnOn = (where: Island) => {
    const own = new URL(url);
    own.hostname = network.address;
    return house.spawn({ island: where, url: own.href, host: where.name });
  };
  const each = async () => {
    const runs: string[] = [];
    for (const shape of SHAPES) runs.push(await house.admit(shape));
    return runs;
  };
  /** A real server on the same database, that only answers. */
  const openDoor = async () => {
    const env = { DATABASE_URL: url, AGENT_RUNNER_LOG: "warn" };
    await desk.start(["start", "--http", "--port", "0"], { env }).says(/agent-runner .* on /);
    const { url: at } = JSON.parse(readFileSync(join(desk.data, "server.json"), "utf8")) as { url: string };
    return at;
  };
  /** The worker that began a run. */
  const startedBy = (run: string) =>
    until("its start", async () => {
      const started = (await house.facts(run)).find((fact) => fact.kind === "run_started");
      return started?.kind === "run_started" ? started.worker : null;
    });
  const leader = async () => (await house.database.leaders.leading())[0]?.member ?? null;
  const connectionsOf = async ({ address }: Island, more = "true") => {
    const { rows } = await client.query(
      `SELECT application_name, state, query FROM pg_stat_activity
       WHERE client_addr = $1 AND datname = current_database() AND ${more}`,
      [address],
    );
    return rows as readonly object[];
  };

  it("one that is cut off holds up nobody, and what it still writes when it is back is refused", async () => {
    const [cutOff, vanished] = [island(0), island(1)];
    const zombie = await spawnOn(cutOff);
    const held = await house.admit(HELD);
    const worker = await startedBy(held);
    await until("it leads", async () => (await leader()) === worker || null, SEEN_MS);
    const others = [await house.spawn(), await house.spawn()];
    const gone = await spawnOn(vanished);
    const door = await openDoor();
    expect(await connectionsOf(vanished)).not.toEqual([]);

    // Cut off in the middle of a transaction, with the run's row in its hands.
    const holder = new pg.Client({ connectionString: url });
    holder.on("error", () => undefined);
    await holder.connect();
    await holder.query("BEGIN");
    await holder.query("SELECT no FROM run WHERE id = $1 FOR UPDATE", [held]);
    house.openGate();
    const waits = () => connectionsOf(cutOff, "wait_event_type = 'Lock'");
    await until("its commit to wait for the row", async () => (await waits()).length > 0 || null, SEEN_MS);
    await cutOff.cut();
    await vanished.cut();
    await house.kill(gone);
    await holder.end();

    // Who asks at the door is answered, also about the very run, and also where that is written to.
    const asked = await Promise.all([
      fetch(`${door}/readyz`),
      fetch(`${door}/runs/${held}`),
      fetch(`${door}/runs/${held}/signals`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: "hello", body: null }),
      }),
    ]);
    const [ready, seen, signaled] = asked.map(({ status }) => status);
    expect([ready, seen]).toEqual([200, 200]);
    // Stored; or the run has been taken over and has ended by now.
    expect([202, 409]).toContain(signaled);

    const meanwhile = await each();
    expect(await house.untilEnded(ENDED_MS)).toEqual([]);
    const takers = (await house.facts(held)).filter((fact) => fact.kind === "run_resumed_by");
    expect(takers.map((fact) => fact.kind === "run_resumed_by" && fact.worker)).not.toContain(worker);
    expect(takers.length).toBeGreaterThan(0);
    for (const run of meanwhile) expect(await startedBy(run)).not.toBe(worker);
    expect(await leader()).not.toBe(worker);
    // Of a machine that never comes back nothing stays, or a database would be full of it some day; but for a connection
    // on which nothing was ever said, when the cable was pulled in that very moment.
    const left = () => connectionsOf(vanished, "query <> ''");
    await until("nothing of it to be left", async () => (await left()).length === 0 || null, SEEN_MS).catch(
      async () => expect(await left()).toEqual([]),
    );
    const silent = await connectionsOf(vanished);
    if (silent.length > 0) process.stdout.write(`left of the moment of the cut: ${JSON.stringify(silent)}\n`);

    // Back, and alone: it lets go, and works on as one that has just come.
    for (const other of others) await house.stop(other);
    await cutOff.mend();
    const later = await each();
    expect(await house.untilEnded(ENDED_MS)).toEqual([]);
    for (const run of later) expect(await startedBy(run)).toBe(worker);
    await house.stop(zombie);
    expect(zombie.exitCode).toBe(0);
    expect(await house.disagreements()).toEqual([]);
    expect(await brokenLaws(url)).toEqual([]);
  });

  it(`lines that lose ${LOST_PERCENT} % of all packets, and come and go, lose no run`, async () => {
    const victims = [];
    for (const where of network.islands) victims.push(await spawnOn(where));
    let lossy = "";
    for (const where of network.islands) lossy = (await where.lose(LOST_PERCENT)) ?? "";
    if (lossy === "")
      process.stdout.write("this kernel loses no packets on demand: lines only come and go\n");
    for (let gap = 0; gap < GAPS; gap += 1) {
      await each();
      await house.people(await house.openRuns());
      const where = island(gap % network.islands.length);
      // For as long as a plug that is loose: shorter than a lease, longer than any answer should take.
      await where.cut();
      await sleep(GAP_MS);
      await where.mend();
      await where.lose(LOST_PERCENT);
    }
    for (const where of network.islands) await where.mend();
    expect(await house.untilEnded(ENDED_MS)).toEqual([]);
    for (const victim of victims) await house.stop(victim);
    expect(await house.disagreements()).toEqual([]);
    expect(await brokenLaws(url)).toEqual([]);
  });
});
