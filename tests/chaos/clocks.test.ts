import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ChaosHouse } from "./house.ts";
import { SHAPES } from "./shapes.ts";

const HOUR_MS = 3_600_000;
const RUNS = 12;
const WITHIN_MS = 60_000;
/** How far a moment in a journal may be from the true one. */
const CLOSE_MS = 2_000;
/** A run that naps and listens is claimed three times; a clock that was believed would have it claimed without end. */
const CLAIMS_OF_A_RUN = 4;

/** True time, whatever anybody makes of the wall clock. */
const trueNow = () => performance.timeOrigin + performance.now();

describe("a process whose clock is wrong", { timeout: 120_000 }, () => {
  let server: TestPostgres;
  let house: ChaosHouse;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterEach(() => house.close());
  afterAll(() => server.stop());

  /** Two that are an hour off, one way and the other, from the start or by a jump; timers must come when they are due. */
  async function undisturbed(url: string | null, afterMs: number): Promise<void> {
    house = new ChaosHouse(url);
    await house.open();
    const began = trueNow();
    const victims = [
      await house.spawn({ wrongClock: { ms: HOUR_MS, afterMs } }),
      await house.spawn({ wrongClock: { ms: -HOUR_MS, afterMs } }),
    ];
    const napping = SHAPES.find(({ name }) => name === "waiting");
    if (napping === undefined) throw new Error("no shape that waits");
    for (let run = 0; run < RUNS; run += 1) await house.admit(napping);
    expect(await house.untilEnded(WITHIN_MS)).toEqual([]);
    const ended = trueNow();
    for (const victim of victims) await house.stop(victim);
    expect(await house.disagreements()).toEqual([]);
    for (const id of house.runs) {
      const facts = (await house.database.reader.factsOf(id, { after: 0, limit: 1_000 })) ?? [];
      expect(facts.filter((fact) => fact.kind === "run_resumed_by")).toEqual([]);
      for (const { at } of facts) {
        expect(at).toBeGreaterThan(began - CLOSE_MS);
        expect(at).toBeLessThan(ended + CLOSE_MS);
      }
    }
  }

  it.each([
    { when: "from its start", afterMs: 0 },
    { when: "by a jump while it works", afterMs: 400 },
  ])("$when neither delays a timer nor disturbs others, on PostgreSQL", async ({ afterMs }) => {
    const url = await server.database();
    await undisturbed(url, afterMs);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query("SELECT last_value::integer AS claims FROM fence");
    await client.end();
    expect(rows[0].claims).toBeLessThanOrEqual(RUNS * CLAIMS_OF_A_RUN);
  });

  it("nor on SQLite", async () => {
    await undisturbed(null, 0);
  });
});
