// A process made to be killed: drives whatever is ready in the store it is given, and tells its parent what it does.
// CRASH_AT: kill -9 of itself right before or right after the n-th commit ("before:3", "after:3"); absent: never by itself.
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { openSqliteStore, processStart } from "../../src/adapters/store/sqlite/open.ts";
import { systemClock } from "../../src/app/system-clock.ts";
import { newId } from "../../src/base/id.ts";
import type { Json } from "../../src/base/json.ts";
import type { Action, ActionContext } from "../../src/contracts/action.ts";
import type { RunStore } from "../../src/contracts/run-store.ts";
import type { EffectClass } from "../../src/domain/effect.ts";
import { fail, ok } from "../../src/domain/errors.ts";
import { tinyExpressions } from "../../src/domain/testing.suite.ts";
import type { EngineParts } from "../../src/engine/parts.ts";
import { createRescuer } from "../../src/engine/services/rescuer.ts";
import { createTimers } from "../../src/engine/services/timers.ts";
import { Worker } from "../../src/engine/worker.ts";
import { requestFor, SHAPES } from "./shapes.ts";

const [path = "", effectsFile = ""] = process.argv.slice(2);
const [when, nth] = (process.env.CRASH_AT ?? "never:0").split(":");
let commits = 0;

/** The world outside: an append-only file with its own fsync, that no crash of ours undoes. */
function happen(line: object): void {
  const fd = openSync(effectsFile, "a");
  writeSync(fd, `${JSON.stringify({ ...line, pid: process.pid, at: Date.now() })}\n`);
  fsyncSync(fd);
  closeSync(fd);
}

function happened(id: string): boolean {
  return readFileSync(effectsFile, { encoding: "utf8", flag: "a+" }).includes(`"${id}"`);
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
      perform: async () => {
        happen({ id, effect, attempt: context.step.attempt });
        return { id };
      },
      query: async () => (happened(id) ? { id } : null),
    });
  }
  return { done: true };
}

function action(name: string, perform: Action["perform"]): Action {
  return { name, description: "", input: {}, output: {}, parse: (input) => ok(input), perform };
}

const actions = [
  action("effects", (_, context) => effects(context)),
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

const opened = await openSqliteStore({ path, clock: systemClock });
const nothing = () => {};
const parts: EngineParts = {
  store: mortal(opened.store),
  runs: opened.reader,
  workflows: opened.workflows,
  artifacts: { put: async () => ({ sha256: "", bytes: 0 }), get: async () => null },
  actions: { get: (name) => actions.find((one) => one.name === name) ?? null, list: () => actions },
  expressions: tinyExpressions,
  live: { publish: nothing, subscribe: () => nothing },
  log: {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (fields, message) => process.send?.({ error: message, fields }),
  },
  clock: systemClock,
  random: Math.random,
  hash: (text) => createHash("sha256").update(text).digest("hex"),
  defer: (run) => void setImmediate(run),
  prepareChild: async (child) => {
    const shape = SHAPES.find((one) => one.name === child.workflow);
    return shape ? ok(requestFor(shape)) : fail("not_found", child.workflow);
  },
};
const info = {
  id: newId("wrk", Date.now(), Math.random),
  host: hostname(),
  pid: process.pid,
  processStart: processStart(process.pid),
  slots: 8,
};
const worker = new Worker(parts, info);
const rescuer = createRescuer(parts);
const timers = createTimers(parts);
await rescuer.runOnce();
worker.start();
rescuer.start();
timers.start();
process.send?.({ ready: true });
process.on("message", async (message) => {
  if (message !== "stop") return;
  await rescuer.stop();
  await timers.stop();
  await worker.stop(2_000);
  await opened.close();
  process.disconnect();
});
