import { createCalendar } from "../../src/adapters/definitions/calendar.ts";
import { openPostgresStore } from "../../src/adapters/store/postgres/open.ts";
import { newId } from "../../src/base/id.ts";
import { request } from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { ok } from "../../src/domain/errors.ts";
import { scheduler } from "../../src/engine/services/scheduler.ts";

/**
 * Lives through some hours in steps of five minutes, looking at the schedules at each, and is killed as by `kill -9` at
 * its n-th call of the store: node schedule-and-die.ts URL FROM HOURS CALL WHEN (before | after; CALL 0: never)
 */
const [url = "", from = "0", hours = "1", call = "0", when = "before"] = process.argv.slice(2);
const STEP_MS = 300_000;
let now = Number(from);
let calls = 0;
const clock = { now: () => now, after: () => () => undefined };

/** What is sent is on its way when the process dies; what was answered is done. */
function dying<T extends object>(of: T): T {
  return new Proxy(of, {
    get(target, name, receiver) {
      const verb = Reflect.get(target, name, receiver);
      if (typeof verb !== "function") return verb;
      return async (...args: unknown[]) => {
        calls += 1;
        const last = calls === Number(call);
        if (last && when === "before") process.kill(process.pid, "SIGKILL");
        const value = await verb.apply(target, args);
        if (last) process.kill(process.pid, "SIGKILL");
        return value;
      };
    },
  });
}

const opened = await openPostgresStore({ url, clock, beats: "none" });
const say = (_: object, text: string) => void process.stderr.write(`${text}\n`);
const chore = scheduler({
  schedules: dying(opened.schedules),
  store: dying(opened.store),
  calendar: createCalendar(),
  clock,
  log: { debug() {}, info() {}, warn: say, error: say },
  newRunId: () => newId("run", Date.now(), Math.random),
  hash: (text) => text,
  prepare: async ({ workflow }) => ok(request({ title: workflow })),
});
for (const end = now + Number(hours) * 3_600_000; now <= end; now += STEP_MS) await chore.runOnce();
await opened.close();
process.stdout.write("done\n");
