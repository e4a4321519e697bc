import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { systemClock } from "../../src/app/system-clock.ts";
import { newId } from "../../src/base/id.ts";
import type { Fact } from "../../src/domain/fact.ts";
import { hasRunEnded } from "../../src/domain/run.ts";
import type { Workflow } from "../../src/domain/workflow.ts";
import { requestFor, SHAPES } from "./shapes.ts";

const VICTIM = fileURLToPath(new URL("victim.ts", import.meta.url));

interface Happened {
  readonly id: string;
  readonly effect: string;
  readonly attempt: number;
  readonly at: number;
}

/** A store in a folder of its own, and processes that live and die on it. */
export class ChaosHouse {
  readonly dir = mkdtempSync(join(tmpdir(), "agent-runner-chaos-"));
  readonly runs: string[] = [];
  /** What processes logged as errors. */
  readonly errors: string[] = [];
  kills = 0;
  #opened: SqliteStore | null = null;

  get #effects(): string {
    return join(this.dir, "effects.jsonl");
  }

  get store(): SqliteStore {
    if (!this.#opened) throw new Error("not open");
    return this.#opened;
  }

  async open(): Promise<void> {
    this.#opened = await openSqliteStore({ path: join(this.dir, "chaos.db"), clock: systemClock });
    for (const flow of SHAPES)
      await this.store.workflows.save({ workflow: flow, source: "", origin: "built-in", savedAt: 0 });
  }

  async admit(shape: Workflow): Promise<string> {
    const id = newId("run", Date.now(), Math.random);
    await this.store.store.admit([{ id, request: requestFor(shape), idempotency: null, at: Date.now() }]);
    this.runs.push(id);
    return id;
  }

  /** A process on the store; resolves when it has begun to work. */
  async spawn(crashAt?: string): Promise<ChildProcess> {
    const env = { ...process.env, ...(crashAt === undefined ? {} : { CRASH_AT: crashAt }) };
    const child = fork(VICTIM, [join(this.dir, "chaos.db"), this.#effects], {
      env,
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    child.on("message", (message) => {
      if (typeof message === "object" && "error" in message) this.errors.push(JSON.stringify(message));
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
    const gone = once(child, "exit");
    child.send("stop");
    await gone;
  }

  /** What people do meanwhile: send what is waited for, refuse to repeat what nobody knows of, cancel what should be. */
  async people(): Promise<void> {
    const { store, reader } = this.store;
    for (const approval of await reader.approvals({ status: "pending", after: null, limit: 100 })) {
      await store.answerApproval({
        approval: approval.id,
        answer: "denied",
        by: "test",
        comment: "do not repeat",
        at: Date.now(),
      });
    }
    for (const id of this.runs) {
      const run = await reader.run(id);
      if (!run || hasRunEnded(run.status)) continue;
      const posting = { run: id, from: "test", at: Date.now(), body: {} };
      if (run.waitingFor.includes("signal:go"))
        await store.post([{ ...posting, id: `go-${id}`, kind: "signal", name: "go" }]);
      if (run.workflow === "canceled" && run.status === "running")
        await store.post([{ ...posting, id: `cancel-${id}`, kind: "cancel", name: "cancel" }]);
    }
  }

  async unfinished(): Promise<readonly string[]> {
    const open: string[] = [];
    for (const id of this.runs) {
      const run = await this.store.reader.run(id);
      if (!run || !hasRunEnded(run.status))
        open.push(`${id} ${run?.workflow} ${run?.status} waits for ${run?.waitingFor}`);
    }
    return open;
  }

  /** Resolves when every run has ended, or with what has not within the limit or when `child` is gone. */
  async untilEnded(ms: number, child?: ChildProcess): Promise<readonly string[]> {
    const deadline = Date.now() + ms;
    for (;;) {
      await this.people();
      const open = await this.unfinished();
      const gone = child !== undefined && (child.exitCode !== null || child.signalCode !== null);
      if (open.length === 0 || gone || Date.now() > deadline) return open;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Everything the journals and the world outside disagree on. */
  async disagreements(): Promise<readonly string[]> {
    const wrong: string[] = [...this.errors];
    const happened = readFileSync(this.#effects, { encoding: "utf8", flag: "a+" })
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Happened);
    const all = [...this.runs];
    for (const id of all) {
      const facts = (await this.store.reader.factsOf(id, { after: 0, limit: 10_000 })) ?? [];
      for (const fact of facts) if (fact.kind === "child_started") all.push(fact.run);
      wrong.push(...judge(id, facts, happened));
    }
    for (const one of happened) {
      if (one.effect !== "manual") continue;
      if (happened.filter((other) => other.id === one.id).length > 1)
        wrong.push(`${one.id} (manual) happened more than once`);
    }
    const counts = await this.store.reader.counts();
    if (counts.ready + counts.leased + counts.resting > 0) wrong.push(`left over: ${JSON.stringify(counts)}`);
    return wrong;
  }

  async close(): Promise<void> {
    await this.#opened?.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function judge(run: string, facts: readonly Fact[], happened: readonly Happened[]): readonly string[] {
  const wrong: string[] = [];
  facts.forEach((fact, index) => {
    if (fact.seq !== index + 1) wrong.push(`${run}: seq ${fact.seq} at place ${index + 1}`);
  });
  const ends = facts.filter((fact) => /^run_(completed|failed|canceled)$/.test(fact.kind));
  if (ends.length !== 1) wrong.push(`${run}: ${ends.length} ends`);
  for (const fact of facts) {
    if (fact.kind !== "effect_recorded") continue;
    const id = `${run}/${fact.step}/${fact.key}`;
    const times = happened.filter((one) => one.id === id);
    const known = fact.result.ok;
    if (known && times.length === 0) wrong.push(`${id} is recorded but never happened`);
    for (const one of times) if (one.at > fact.at) wrong.push(`${id} happened again after it was recorded`);
    if (fact.key === "query" && times.length > 1) wrong.push(`${id} (query) happened ${times.length} times`);
  }
  return wrong;
}
