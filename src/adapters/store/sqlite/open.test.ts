import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock } from "../../../../tests/support/real-clock.ts";
import { liveRelaySuite } from "../../../contracts/live-relay.suite.ts";
import { runStoreSuite } from "../../../contracts/run-store.suite.ts";
import type { StoreMaker } from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { scheduleStoreSuite } from "../../../contracts/schedule-store.suite.ts";
import { workflowStoreSuite } from "../../../contracts/workflow-store.suite.ts";
import { openSqliteStore } from "./open.ts";

const maker: StoreMaker = {
  name: "sqlite",
  async open(clock) {
    const folder = mkdtempSync(join(tmpdir(), "agent-runner-store-"));
    const opened = await openSqliteStore({ path: join(folder, "runs.db"), clock, beats: "none" });
    return {
      ...opened,
      beat: (worker) => opened.store.beat(worker),
      async close() {
        await opened.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

runStoreSuite(maker);
workflowStoreSuite(maker);
scheduleStoreSuite(maker);
liveRelaySuite({
  name: "sqlite",
  async open() {
    const folder = mkdtempSync(join(tmpdir(), "agent-runner-live-"));
    const one = () => openSqliteStore({ path: join(folder, "runs.db"), clock: realClock, beats: "none" });
    const [here, there] = [await one(), await one()];
    return {
      here: here.live,
      there: there.live,
      async close() {
        await here.close();
        await there.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
});
