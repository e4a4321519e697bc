// A process that stands for a duty and, while it leads, notes its term in a file: node candidate.ts <data> <notes> [url]
import { closeSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { pino } from "pino";
import { processStart } from "../../src/adapters/store/sql/process.ts";
import { readConfig } from "../../src/app/config.ts";
import { openDatabase } from "../../src/app/database.ts";
import { createLeadership } from "../../src/engine/services/leadership.ts";

const [dataDir = "", notes = "", url = ""] = process.argv.slice(2);
const config = readConfig({ AGENT_RUNNER_DATA: dataDir, ...(url === "" ? {} : { DATABASE_URL: url }) });
if (!config.ok) throw new Error(config.failure.message);
const log = pino({ level: "silent" });
const { leaders, clock } = await openDatabase(config.value, log);
const file = openSync(notes, "a");
let term = 0;
const leadership = createLeadership({
  leaders: {
    ...leaders,
    async stand(duty, candidate) {
      const lead = await leaders.stand(duty, candidate);
      if (lead !== null) term = lead.term;
      return lead;
    },
  },
  clock,
  log,
  duty: "housekeeping",
  candidate: {
    member: `member-${process.pid}`,
    host: hostname(),
    pid: process.pid,
    processStart: processStart(process.pid),
  },
  chores: [
    {
      name: "note",
      everyMs: 20,
      runOnce: async () => void writeSync(file, `${JSON.stringify({ term, pid: process.pid })}\n`),
    },
  ],
});
leadership.start();
process.send?.({ ready: true });
process.once("disconnect", () => {
  closeSync(file);
  process.exit(0);
});
