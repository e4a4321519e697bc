import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Behaviour,
  type FakeModels,
  startFakeModels,
} from "../../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../../src/adapters/models/script/parse.ts";
import { Connection } from "../../src/adapters/store/sqlite/connection.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { realClock } from "../support/real-clock.ts";
import { until } from "../support/until.ts";
import type { CallerAnswer, CallerOrder, Store } from "./shapes.ts";

const CALLER = fileURLToPath(new URL("./caller.ts", import.meta.url));
const NO_END_MS = 600_000;
/** As long as a test waits for what processes tell one another within a second or two. */
const TOLD_WITHIN_MS = 30_000;

const script = parseScript("name: first\nturns: [{ text: Here. }]\n", "first.yaml");
if (!script.ok) throw new Error(script.failure.message);

/** A process of its own that calls models when it is told to. */
class Caller {
  readonly self: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: CallerAnswer) => void>();
  #wishes = 0;

  private constructor(self: string, child: ChildProcess) {
    this.self = self;
    this.#child = child;
  }

  static async start(order: CallerOrder): Promise<Caller> {
    const child = spawn(process.execPath, [CALLER, JSON.stringify(order)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const caller = new Caller(order.self, child);
    if (child.stdout === null) throw new Error("no output");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as CallerAnswer;
      caller.#waiting.get(answer.id)?.(answer);
      caller.#waiting.delete(answer.id);
    });
    const gone = once(child, "exit").then(([code]) => {
      throw new Error(`${order.self} ended with ${code}`);
    });
    await Promise.race([new Promise((resolve) => caller.#waiting.set(0, resolve)), gone]);
    gone.catch(() => undefined);
    return caller;
  }

  call(): Promise<CallerAnswer> {
    return this.#ask("call");
  }

  async stateOf(model: string): Promise<readonly [string, string | null] | undefined> {
    return (await this.#ask("states")).states?.[model];
  }

  #ask(wish: "call" | "states"): Promise<CallerAnswer> {
    this.#wishes += 1;
    const id = this.#wishes;
    const answered = new Promise<CallerAnswer>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin?.write(`${JSON.stringify({ id, wish })}\n`);
    return answered;
  }

  async end(how: "kindly" | "SIGKILL" = "kindly"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    if (how === "kindly") this.#child.stdin?.end();
    else this.#child.kill(how);
    await exit;
  }
}

/** A provider of its own: what its `first` model does, and when it was asked; `second` always answers. */
interface Stage {
  readonly fake: FakeModels;
  first: "well" | "down" | { readonly lateMs: number };
  readonly askedAt: number[];
}

async function openStage(): Promise<Stage> {
  const askedAt: number[] = [];
  const fake = await startFakeModels({
    scripts: script.ok ? [script.value] : [],
    clock: realClock,
    behave: ({ model }): Behaviour => {
      if (model !== "first") return {};
      askedAt.push(performance.now());
      if (stage.first === "down") return { fault: { kind: "unavailable" } };
      return stage.first === "well" ? {} : { delayMs: stage.first.lateMs };
    },
  });
  const stage: Stage = { fake, first: "well", askedAt };
  return stage;
}

let folder: string;
/** One to ask, one to be killed. */
let server: TestPostgres;
let doomed: TestPostgres;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "agent-runner-health-"));
  [server, doomed] = await Promise.all([startPostgres(), startPostgres()]);
});
afterAll(async () => {
  await Promise.all([server?.stop(), doomed?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
const STORES: Readonly<Record<Store["kind"], (on: TestPostgres) => Promise<Store>>> = {
  sqlite: async () => {
    files += 1;
    return { kind: "sqlite", path: join(folder, `runs-${files}.db`) };
  },
  postgres: async (on) => ({ kind: "postgres", url: await on.database() }),
};

async function withTwo(
  of: { readonly store: Store; readonly leaseMs: number; readonly patient: boolean },
  test: (stage: Stage, a: Caller, b: Caller) => Promise<void>,
): Promise<void> {
  const stage = await openStage();
  const order = { ...of, fake: stage.fake.url };
  const a = await Caller.start({ ...order, self: "wrk_a" });
  const b = await Caller.start({ ...order, self: "wrk_b" });
  try {
    await test(stage, a, b);
  } finally {
    await Promise.all([a.end(), b.end()]);
    await stage.fake.close();
  }
}

/** Calls of `a` alone fail until its breaker opens, and `b` has heard of it. */
async function opened(stage: Stage, a: Caller, b: Caller): Promise<void> {
  stage.first = "down";
  const isOpen = async () => {
    await a.call();
    return (await a.stateOf("first"))?.[0] === "open" ? true : null;
  };
  await until("the breaker of a opens", isOpen, TOLD_WITHIN_MS);
  const heard = async () => {
    const state = await b.stateOf("first");
    return state?.[0] === "open" ? state : null;
  };
  expect(await until("b hears of it", heard, TOLD_WITHIN_MS)).toEqual(["open", "wrk_a"]);
}

/** Calls again and again until one was answered by `first`. */
async function answeredByFirst(...callers: readonly Caller[]): Promise<void> {
  const each = (caller: Caller) =>
    until(
      `${caller.self} is answered by the first model`,
      async () => ((await caller.call()).attempts?.includes("first ok") ? true : null),
      TOLD_WITHIN_MS,
    );
  await Promise.all(callers.map(each));
}

describe.concurrent.each(Object.keys(STORES) as Store["kind"][])("two processes on one %s", (kind) => {
  it("one learns of the other's failures, and one probe over both brings the model back", async () => {
    const lateMs = 1_500;
    const store = await STORES[kind](server);
    await withTwo({ store, leaseMs: 15_000, patient: true }, async (stage, a, b) => {
      await opened(stage, a, b);
      const before = stage.askedAt.length;
      expect(await b.call()).toMatchObject({ ok: true, attempts: ["second ok"] });
      const asked = stage.fake.journal.filter(({ headers }) => headers["x-fake-tag"] === "wrk_b");
      expect(asked.map(({ body }) => body.model)).toEqual(["second"]);
      stage.first = { lateMs };
      await answeredByFirst(a, b);
      const [probe, ...others] = stage.askedAt.slice(before);
      if (probe === undefined) throw new Error("never asked");
      expect(others.length).toBeGreaterThan(0);
      // Nobody asked again before the probe could have had its first word; a timer may be early by a ms.
      for (const other of others) expect(other - probe).toBeGreaterThanOrEqual(lateMs - 2);
    });
  });

  it("a prober that is killed holds the others up for its lease and no longer", async () => {
    const leaseMs = 3_000;
    const store = await STORES[kind](server);
    await withTwo({ store, leaseMs, patient: true }, async (stage, a, b) => {
      await opened(stage, a, b);
      const before = stage.askedAt.length;
      stage.first = { lateMs: NO_END_MS };
      const probes = async () => {
        // A probe hangs: its call is not waited for.
        const calls = Promise.all([a.call(), b.call()]).then(() => null);
        const asked = until("a probe", () => (stage.askedAt.length > before ? true : null), TOLD_WITHIN_MS);
        return Promise.race([calls, asked.catch(() => null)]);
      };
      await until("somebody probes", probes, TOLD_WITHIN_MS);
      const probe = stage.fake.journal.findLast(({ body }) => body.model === "first");
      const [dead, alive] = probe?.headers["x-fake-tag"] === "wrk_a" ? [a, b] : [b, a];
      await dead.end("SIGKILL");
      stage.first = "well";
      await answeredByFirst(alive);
      const [first = 0, second = 0] = stage.askedAt.slice(before);
      // A probe begins in the first third of its lease.
      expect(second - first).toBeGreaterThan((leaseMs * 2) / 3 - 100);
    });
  });

  it("calls go on while the store is out of reach, and a model comes back without it", async () => {
    const store = await STORES[kind](doomed);
    await withTwo({ store, leaseMs: 15_000, patient: false }, async (stage, a, b) => {
      await opened(stage, a, b);
      const giveBack = await takeAway(store);
      try {
        expect(await a.call()).toMatchObject({ ok: true, attempts: ["second ok"] });
        stage.first = "well";
        await answeredByFirst(a, b);
      } finally {
        await giveBack();
      }
    });
  });
});

/** A server that is killed; a file that is held by a writer who does not let go. */
async function takeAway(store: Store): Promise<() => Promise<void>> {
  if (store.kind === "postgres") {
    await doomed.kill();
    return () => doomed.start();
  }
  const writer = new Connection({ path: store.path, busyTimeoutMs: 5_000 });
  writer.db.exec("BEGIN IMMEDIATE");
  return async () => writer.close();
}
