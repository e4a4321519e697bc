import { afterAll, beforeAll } from "vitest";
import { emptyDatabase, startPostgres, type TestPostgres } from "../../../../tests/support/postgres.ts";
import { realClock } from "../../../../tests/support/real-clock.ts";
import { liveRelaySuite } from "../../../contracts/live-relay.suite.ts";
import { rateLimitStoreSuite } from "../../../contracts/rate-limit-store.suite.ts";
import { runStoreSuite } from "../../../contracts/run-store.suite.ts";
import type { StoreMaker } from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { scheduleStoreSuite } from "../../../contracts/schedule-store.suite.ts";
import { workflowStoreSuite } from "../../../contracts/workflow-store.suite.ts";
import { openPostgresStore } from "./open.ts";

let server: TestPostgres;
let url: string;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
});
afterAll(() => server.stop());

const maker: StoreMaker = {
  name: "postgres",
  async open(clock) {
    const opened = await openPostgresStore({ url, clock, beats: "none" });
    return {
      ...opened,
      beat: (worker) => opened.store.beat(worker),
      async close() {
        await opened.close();
        await emptyDatabase(url);
      },
    };
  },
};

runStoreSuite(maker);
workflowStoreSuite(maker);
scheduleStoreSuite(maker);
liveRelaySuite({
  name: "postgres",
  async open() {
    const one = () => openPostgresStore({ url, clock: realClock, beats: "none" });
    const [here, there] = [await one(), await one()];
    return {
      here: here.live,
      there: there.live,
      async close() {
        await here.close();
        await there.close();
        await emptyDatabase(url);
      },
    };
  },
});
rateLimitStoreSuite("postgres", async () => {
  const processes = await Promise.all(
    [1, 2, 3].map(() => openPostgresStore({ url, clock: realClock, beats: "none" })),
  );
  const [store, ...others] = processes.map(({ rates }) => rates);
  if (store === undefined) throw new Error("no store");
  return {
    store,
    others,
    async close() {
      for (const one of processes) await one.close();
      await emptyDatabase(url);
    },
  };
});
