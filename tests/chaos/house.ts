import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { readConfig } from "../../src/app/config.ts";
import { type Database, openDatabase } from "../../src/app/database.ts";
import { newId } from "../../src/base/id.ts";
import type { Fact } from "../../src/domain/fact.ts";
import { hasRunEnded } from "../../src/domain/run.ts";
import type { Workflow } from "../../src/domain/workflow.ts";
import type { Island } from "../support/network.ts";
import { type Happened, judgeRun, judgeWorld } from "./judge.ts";
import { GATE, HELD, requestFor, SHAPES } from "./shapes.ts";

const VICTIM = fileURLToPath(new URL("victim.ts", import.meta.url));
const WRONG_CLOCK = new URL("wrong-clock.mjs", import.meta.url).href;
const FACTS_PAGE = 10_000;

export interface SpawnOptions {
  /** `before:3`, `after:3`: it kills itself around its n-th commit. */
  readonly crashAt?: string;
  /** Its own way to the database, when it is not the direct one. */
  readonly url?: string;
  /** The host it says it is on. */
  readonly host?: string;
  /** Its wall clock is off by so much, from some time after its start on. */
  readonly wrongClock?: { readonly ms: number; readonly afterMs: number };
  /** The network it is on, when it is not this machine's. */
  readonly island?: Island;
}

/** A database, and processes that live and die on it. */
export class ChaosHouse {
  readonly dir = mkdtempSync(join(tmpdir(), "agent-runner-chaos-"));
  readonly runs: string[] = [];
  /** What processes logged as errors. */
  readonly errors: string[] = [];
  kills = 0;
  readonly #url: string | null;
  readonly #children = new Set<ChildProcess>();
  #opened: Database | null = null;

  /** `null`: a SQLite file in a folder of its own. */
  constructor(url: string | null) {
    this.#url = url;
  }

  get #effects(): string {
    return join(this.dir, "effects.jsonl");
  }

  get database(): Database {
    if (!this.#opened) throw new Error("not open");
    return this.#opened;
  }

  async open(): Promise<void> {
    const url = this.#url === null ? {} : { DATABASE_URL: this.#url };
    const config = readConfig({ AGENT_RUNNER_DATA: this.dir, ...url });
    if (!config.ok) throw new Error(config.failure.message);
    this.#opened = await openDatabase(config.value, pino({ level: "silent" }));
    for (const flow of [...SHAPES, HELD])
      await this.database.workflows.save({ workflow: flow, source: "", origin: "built-in", savedAt: 0 });
  }

  /** What runs of the shape `HELD` stand before. */
  openGate(): void {
    writeFileSync(join(this.dir, GATE), "");
  }

  async facts(run: string): Promise<readonly Fact[]> {
    return (await this.database.reader.factsOf(run, { after: 0, limit: FACTS_PAGE })) ?? [];
  }

  async admit(shape: Workflow): Promise<string> {
    const id = newId("run", Date.now(), Math.random);
    const at = this.database.clock.now();
    await this.patiently(() =>
      this.database.store.admit([{ id, request: requestFor(shape), idempotency: null, at }]),
    );
    this.runs.push(id);
    return id;
  }

  /** A process on the store; resolves when it has begun to work, or is gone. */
  async spawn(options: SpawnOptions = {}): Promise<ChildProcess> {
    const { crashAt, host, wrongClock } = options;
    const env = {
      ...process.env,
      ...(crashAt === undefined ? {} : { CRASH_AT: crashAt }),
      ...(host === undefined ? {} : { VICTIM_HOST: host }),
      ...(wrongClock === undefined
        ? {}
        : { WRONG_MS: String(wrongClock.ms), WRONG_AFTER_MS: String(wrongClock.afterMs) }),
    };
    const url = options.url ?? this.#url;
    const flags = [
      "--disable-warning=ExperimentalWarning",
      ...(wrongClock === undefined ? [] : ["--import", WRONG_CLOCK]),
    ];
    // The program that enters the network becomes the victim: same process, same pipes.
    const entry = options.island?.inside(process.execPath, flags);
    const child = fork(VICTIM, [this.dir, this.#effects, ...(url === null ? [] : [url])], {
      env,
      ...(entry === undefined ? { execArgv: flags } : { execPath: entry.program, execArgv: entry.args }),
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2_000);
    });
    child.on("message", (message) => {
      if (typeof message === "object" && "error" in message) this.errors.push(JSON.stringify(message));
    });
    // Nothing a database does may end a process.
    child.once("exit", (code) => {
      if (code !== null && code !== 0 && !complaint.includes('"code":"unavailable"'))
        this.errors.push(`process ${child.pid} ended with ${code}: ${complaint}`);
    });
    await Promise.race([once(child, "message"), once(child, "exit")]);
    return child;
  }

  async kill(child: ChildProcess): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    if (child.signalCode === "SIGKILL") this.kills += 1;
  }

  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.send("stop");
    await gone;
  }

  /** People try again when the database is away. */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const code = (error as { failure?: { code?: string } }).failure?.code;
        if (code !== "unavailable") throw error;
      }
    }
  }

  /** What people do meanwhile: send what is waited for, refuse to repeat what nobody knows of, cancel what should be. */
  async people(open: readonly string[]): Promise<void> {
    const { store, reader, clock } = this.database;
    const at = clock.now();
    for (const approval of await reader.approvals({ status: "pending", after: null, limit: 100 })) {
      const answer = { answer: "denied", by: "test", comment: "do not repeat", at } as const;
      await store.answerApproval({ approval: approval.id, ...answer });
    }
    for (const id of open) {
      const run = await reader.run(id);
      if (!run || hasRunEnded(run.status)) continue;
      const posting = { run: id, from: "test", at, body: {} };
      if (run.waitingFor.includes("signal:go"))
        await store.post([{ ...posting, id: `go-${id}`, kind: "signal", name: "go" }]);
      if (run.workflow === "canceled" && run.status === "running")
        await store.post([{ ...posting, id: `cancel-${id}`, kind: "cancel", name: "cancel" }]);
    }
  }

  readonly #ended = new Set<string>();

  /** Ids of the runs that have not ended. */
  async openRuns(): Promise<readonly string[]> {
    for (const id of this.runs) {
      if (this.#ended.has(id)) continue;
      const run = await this.database.reader.run(id);
      if (run && hasRunEnded(run.status)) this.#ended.add(id);
    }
    return this.runs.filter((id) => !this.#ended.has(id));
  }

  /** Resolves when every run has ended, or with what has not within the limit or when `child` is gone. */
  async untilEnded(ms: number, child?: ChildProcess): Promise<readonly string[]> {
    const deadline = performance.now() + ms;
    for (;;) {
      const open = await this.patiently(async () => {
        const ids = await this.openRuns();
        await this.people(ids);
        return ids;
      });
      const gone = child !== undefined && (child.exitCode !== null || child.signalCode !== null);
      if (open.length === 0 || gone || performance.now() > deadline) return this.#describe(open);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #describe(open: readonly string[]): Promise<readonly string[]> {
    const told: string[] = [];
    for (const id of open) {
      const run = await this.patiently(() => this.database.reader.run(id));
      told.push(`${id} ${run?.workflow} ${run?.status} waits for ${run?.waitingFor}`);
    }
    return told;
  }

  /** Everything the journals and the world outside disagree on. */
  async disagreements(): Promise<readonly string[]> {
    const happened = Map.groupBy(
      readFileSync(this.#effects, { encoding: "utf8", flag: "a+" })
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Happened),
      (one) => one.id,
    );
    const wrong: string[] = [...this.errors, ...judgeWorld(happened)];
    const all = [...this.runs];
    for (const id of all) {
      const facts = await this.facts(id);
      for (const fact of facts) if (fact.kind === "child_started") all.push(fact.run);
      wrong.push(...judgeRun(id, facts, happened));
    }
    const counts = await this.database.reader.counts();
    if (counts.ready + counts.leased + counts.resting > 0) wrong.push(`left over: ${JSON.stringify(counts)}`);
    const open = counts.byStatus.queued + counts.byStatus.running;
    if (open > 0) wrong.push(`counted as open: ${JSON.stringify(counts.byStatus)}`);
    return wrong;
  }

  async close(): Promise<void> {
    // A test that failed halfway has not stopped them.
    for (const child of this.#children) await this.kill(child);
    await this.#opened?.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
