// A process made to be killed: drives whatever is ready in the database it is given, and tells its parent what it does.
// CRASH_AT: kill -9 of itself right before or right after the n-th commit ("before:3", "after:3"); absent: never by itself.
// VICTIM_HOST: the host it says it is on; absent: this one.
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { processStart } from "../../src/adapters/store/sql/process.ts";
import { readConfig } from "../../src/app/config.ts";
import { openDatabase } from "../../src/app/database.ts";
import { ticks } from "../../src/app/system-clock.ts";
import { newId } from "../../src/base/id.ts";
import type { Json } from "../../src/base/json.ts";
import type { Action, ActionContext } from "../../src/contracts/action.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { RunStore } from "../../src/contracts/run-store.ts";
import type { EffectClass } from "../../src/domain/effect.ts";
import { fail, ok } from "../../src/domain/errors.ts";
import { tinyExpressions } from "../../src/domain/testing.suite.ts";
import type { EngineParts } from "../../src/engine/parts.ts";
import { createLeadership } from "../../src/engine/services/leadership.ts";
import { createMembership } from "../../src/engine/services/membership.ts";
import { repeat } from "../../src/engine/services/repeat.ts";
import { rescuer } from "../../src/engine/services/rescuer.ts";
import { timers } from "../../src/engine/services/timers.ts";
import { Worker } from "../../src/engine/worker.ts";
import { until } from "../support/until.ts";
import { GATE, requestFor, SHAPES } from "./shapes.ts";

const [dataDir = "", effectsFile = "", databaseUrl = ""] = process.argv.slice(2);
const [when, nth] = (process.env.CRASH_AT ?? "never:0").split(":");
/** What a database that is gone for a while may do to a worker: told, and waited out. */
const TROUBLE: ReadonlySet<unknown> = new Set(["unavailable", "lease_lost"]);
const HELD_MS = 120_000;
let commits = 0;
let happenings = 0;

/** The world outside: an append-only file with its own fsync, that no crash of ours undoes. */
function happen(line: { readonly id: string; readonly effect: string }): Json {
  happenings += 1;
  const nonce = `${process.pid}.${happenings}`;
  const fd = openSync(effectsFile, "a");
  writeSync(fd, `${JSON.stringify({ ...line, nonce })}\n`);
  fsyncSync(fd);
  closeSync(fd);
  return { nonce };
}

function happened(id: string): Json {
  const lines = readFileSync(effectsFile, { encoding: "utf8", flag: "a+" }).split("\n");
  const line = lines.find((one) => one.includes(`"${id}"`));
  return line === undefined ? null : { nonce: (JSON.parse(line) as { nonce: string }).nonce };
}

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

function mortal(store: RunStore): RunStore {
  return {
    ...store,
    async commit(batch) {
      commits += 1;
      if (when === "before" && commits === Number(nth)) die();
      const result = await store.commit(batch);
      if (when === "after" && commits === Number(nth)) die();
      return result;
    },
  };
}

async function effects(context: ActionContext): Promise<Json> {
  const kinds: readonly EffectClass[] = ["pure", "idempotent", "query", "manual"];
  for (const effect of kinds) {
    const id = `${context.run.id}/${context.step.id}/${effect}`;
    await context.once(effect, {
      effect,
      request: { id },
      label: effect,
      perform: async () => happen({ id, effect }),
      query: async () => happened(id),
    });
  }
  return { done: true };
}

function action(name: string, perform: Action["perform"]): Action {
  return { name, description: "", input: {}, output: {}, parse: (input) => ok(input), perform };
}

const actions = [
  action("effects", (_, context) => effects(context)),
  action("held", async (_, context) => {
    await until("the gate to open", () => existsSync(join(dataDir, GATE)) || null, HELD_MS);
    return effects(context);
  }),
  action("noop", async (input) => input),
  action("nap", async (_, context) => {
    await context.sleep("nap", 50);
    return null;
  }),
  action("listen", async (_, context) =>
    (await context.waitForSignal("go", { name: "go" })) === null ? "silence" : "heard",
  ),
  action("spawn", async (_, context) => {
    const run = await context.startChild("child", { workflow: "leaf", inputs: {} });
    return { run, status: (await context.waitForChild("child", run))?.status ?? "?" };
  }),
  action(
    "slow",
    (_, context) =>
      new Promise((_, reject) =>
        context.signal.addEventListener("abort", () => reject(context.signal.reason)),
      ),
  ),
];

const config = readConfig({
  AGENT_RUNNER_DATA: dataDir,
  ...(databaseUrl === "" ? {} : { DATABASE_URL: databaseUrl }),
});
if (!config.ok) throw new Error(config.failure.message);
const opened = await openDatabase(config.value, pino({ level: "silent" }));
const nothing = () => {};
const log: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: (fields, message) => {
    const { failure } = fields as { failure?: { code?: string } };
    if (!TROUBLE.has(failure?.code)) process.send?.({ error: message, fields });
  },
};
const parts: EngineParts = {
  store: mortal(opened.store),
  runs: opened.reader,
  workflows: opened.workflows,
  artifacts: { put: async () => ({ sha256: "", bytes: 0 }), get: async () => null },
  actions: { get: (name) => actions.find((one) => one.name === name) ?? null, list: () => actions },
  expressions: tinyExpressions,
  live: { publish: nothing, subscribe: () => nothing },
  log,
  clock: opened.clock,
  random: Math.random,
  hash: (text) => createHash("sha256").update(text).digest("hex"),
  defer: (run) => void setImmediate(run),
  prepareChild: async (child) => {
    const shape = SHAPES.find((one) => one.name === child.workflow);
    return shape ? ok(requestFor(shape)) : fail("not_found", child.workflow);
  },
};
const self = {
  host: process.env.VICTIM_HOST ?? hostname(),
  pid: process.pid,
  processStart: processStart(process.pid),
};
const id = newId("wrk", Date.now(), Math.random);
const worker = new Worker(parts, { id, ...self, slots: 8 });
const neighbours = repeat(parts, rescuer(parts, "host"));
const leadership = createLeadership({
  leaders: opened.leaders,
  clock: opened.clock,
  log,
  duty: "housekeeping",
  candidate: { member: id, ...self },
  chores: [rescuer(parts, "all"), timers(parts)],
});
const membership = createMembership({
  fleet: opened.fleet,
  clock: opened.clock,
  log,
  ticks,
  member: () => ({
    id,
    ...self,
    version: "0",
    roles: ["worker", "services"],
    labels: [],
    slots: worker.slots,
    held: worker.held,
    draining: false,
  }),
  onLook: (look) => void opened.clock.correct(look),
  onSlots: (slots) => worker.resize(slots),
  onReload: nothing,
});
await neighbours.runOnce();
worker.start();
for (const service of [neighbours, membership, leadership]) service.start();
process.send?.({ ready: true });
process.on("message", async (message) => {
  if (message !== "stop") return;
  await Promise.all([neighbours, leadership].map((service) => service.stop()));
  await worker.stop(2_000);
  await membership.stop();
  await opened.close();
  process.disconnect();
});
