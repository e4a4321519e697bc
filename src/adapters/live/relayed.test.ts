import { expect, it } from "vitest";
import { ManualClock } from "../../../tests/support/manual-clock.ts";
import type { LiveCursor, LiveEvent, LiveRelay } from "../../contracts/live.ts";
import { createLive } from "./in-process.ts";
import { RelayedLive } from "./relayed.ts";

/** What two processes share, without a database: who watches, what was sent, and how often anybody asked. */
function hub() {
  const watching = new Map<string, Set<string>>();
  const events: { sender: string; event: LiveEvent }[] = [];
  const calls = { watch: 0, watched: 0, send: 0, receive: 0 };
  let broken = false;
  const check = () => {
    if (broken) throw new Error("the database is gone");
  };
  const relay = (self: string): LiveRelay => ({
    async watch(runs) {
      calls.watch += 1;
      check();
      for (const run of runs) watching.set(run, (watching.get(run) ?? new Set()).add(self));
      return new Map(runs.map((run) => [run, events.length]));
    },
    async watched(runs) {
      calls.watched += 1;
      check();
      return new Set(runs.filter((run) => [...(watching.get(run) ?? [])].some((who) => who !== self)));
    },
    async send(all) {
      calls.send += 1;
      check();
      events.push(...all.map((event) => ({ sender: self, event })));
    },
    async receive(from) {
      calls.receive += 1;
      check();
      return events
        .map(({ sender, event }, at): { sender: string; event: LiveEvent; cursor: LiveCursor } => ({
          sender,
          event,
          cursor: at + 1,
        }))
        .filter(({ sender, event, cursor }) => sender !== self && cursor > (from.get(event.run) ?? Infinity));
    },
  });
  return {
    relay,
    events,
    calls,
    breakDown: (now: boolean) => {
      broken = now;
    },
  };
}

function twoProcesses() {
  const clock = new ManualClock();
  const shared = hub();
  const warnings: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: (_: object, message: string) => void warnings.push(message),
    error: () => {},
  };
  const one = (name: string) =>
    new RelayedLive({ local: createLive(), relay: shared.relay(name), clock, log });
  const delta = (text: string): LiveEvent => ({
    run: "run_a",
    step: "fix",
    name: "delta",
    at: clock.now(),
    data: { turn: 1, kind: "text", text },
  });
  return { clock, shared, warnings, delta, worker: one("worker"), server: one("server") };
}

it("a reader in another process sees what is said, tokens joined, in order", async () => {
  const { clock, worker, server, delta, shared } = twoProcesses();
  const seen: LiveEvent[] = [];
  server.subscribe("run_a", (event) => seen.push(event));
  await clock.advance(1_000);
  worker.publish(delta("Hel"));
  await clock.advance(1_000);
  worker.publish(delta("lo "));
  worker.publish(delta("there"));
  worker.publish({ ...delta(""), name: "heartbeat", data: { idle_ms: 3 } });
  await clock.advance(1_000);
  expect(seen.map(({ name, data }) => [name, data.text ?? data.idle_ms])).toEqual([
    ["delta", "lo there"],
    ["heartbeat", 3],
  ]);
  expect(shared.events).toHaveLength(2);
});

it("nothing is sent of a run that nobody elsewhere reads, and a reader at home hears it at once", async () => {
  const { clock, worker, delta, shared } = twoProcesses();
  const seen: LiveEvent[] = [];
  worker.subscribe("run_a", (event) => seen.push(event));
  worker.publish(delta("x"));
  expect(seen).toHaveLength(1);
  for (let n = 0; n < 5; n += 1) {
    worker.publish(delta("y"));
    await clock.advance(1_000);
  }
  expect(shared.calls.send).toBe(0);
  expect(seen).toHaveLength(6);
});

it("asks the database nothing when nobody talks or reads", async () => {
  const { clock, worker, server, delta, shared } = twoProcesses();
  const leave = server.subscribe("run_a", () => {});
  worker.publish(delta("x"));
  await clock.advance(5_000);
  leave();
  await clock.advance(30_000);
  const before = { ...shared.calls };
  await clock.advance(600_000);
  expect(shared.calls).toEqual(before);
  expect(clock.pending).toBe(0);
});

it("goes on when the database comes back, and has never stopped a run meanwhile", async () => {
  const { clock, worker, server, delta, shared, warnings } = twoProcesses();
  const seen: LiveEvent[] = [];
  server.subscribe("run_a", (event) => seen.push(event));
  worker.publish(delta("a"));
  await clock.advance(2_000);
  shared.breakDown(true);
  for (let n = 0; n < 10; n += 1) {
    worker.publish(delta("lost"));
    await clock.advance(1_000);
  }
  expect(warnings.length).toBeGreaterThan(0);
  expect(warnings.length).toBeLessThan(100);
  shared.breakDown(false);
  await clock.advance(3_000);
  worker.publish(delta("back"));
  await clock.advance(2_000);
  expect(seen.at(-1)?.data.text).toMatch(/back$/);
});

it("is silent once it is closed", async () => {
  const { clock, worker, server, delta, shared } = twoProcesses();
  server.subscribe("run_a", () => {});
  await clock.advance(1_000);
  worker.close();
  server.close();
  worker.publish(delta("x"));
  const before = { ...shared.calls };
  await clock.advance(10_000);
  expect(shared.calls).toEqual(before);
});
