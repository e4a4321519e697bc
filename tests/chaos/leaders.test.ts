import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../src/domain/limits.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const CANDIDATE = fileURLToPath(new URL("candidate.ts", import.meta.url));
const PROCESSES = 3;
/** LEADER_KILLS=50 for more of them. */
const KILLS = Number(process.env.LEADER_KILLS ?? 2);
const SUCCESSION_MS = 30_000;

interface Note {
  readonly term: number;
  readonly pid: number;
}

/** Processes that all want to lead, and the file in which whoever leads notes it. */
class Election {
  readonly dir = mkdtempSync(join(tmpdir(), "agent-runner-leaders-"));
  readonly #children = new Map<number, ChildProcess>();
  readonly #url: string | null;

  constructor(url: string | null) {
    this.#url = url;
  }

  get notes(): readonly Note[] {
    const lines = readFileSync(join(this.dir, "notes"), { encoding: "utf8", flag: "a+" }).split("\n");
    // After the last end of a line there is nothing, or what somebody is writing at this moment.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Note);
  }

  async add(): Promise<void> {
    const args = [this.dir, join(this.dir, "notes"), ...(this.#url === null ? [] : [this.#url])];
    const child = fork(CANDIDATE, args, { execArgv: ["--disable-warning=ExperimentalWarning"] });
    this.#children.set(child.pid ?? 0, child);
    const first = await Promise.race([
      once(child, "message").then(() => "ready"),
      once(child, "exit").then(([code]) => `it ended with ${code}`),
    ]);
    if (first !== "ready") throw new Error(`a candidate does not stand: ${first}`);
  }

  leader(): Promise<Note> {
    return until("a leader", () => this.notes.at(-1) ?? null, SUCCESSION_MS);
  }

  /** Who leads in place of `pid`, which leads no more; it may have led for several terms. */
  successor(pid: number): Promise<Note> {
    const find = () => {
      const { notes } = this;
      const last = notes.findLast((note) => note.pid === pid)?.term ?? 0;
      return notes.findLast((note) => note.term > last && note.pid !== pid) ?? null;
    };
    return until("another leader", find, SUCCESSION_MS);
  }

  signal(pid: number, signal: NodeJS.Signals): void {
    this.#children.get(pid)?.kill(signal);
  }

  async kill(pid: number): Promise<void> {
    const child = this.#children.get(pid);
    if (child === undefined) throw new Error(`no process ${pid}`);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    this.#children.delete(pid);
  }

  async close(): Promise<void> {
    for (const pid of [...this.#children.keys()]) await this.kill(pid);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A note of a term that was over already: somebody still led when another did. */
function overlaps(notes: readonly Note[]): readonly Note[] {
  return notes.filter((note, at) => note.term < (notes[at - 1]?.term ?? 0));
}

/** Two processes under one term are two leaders. */
function shared(notes: readonly Note[]): readonly number[] {
  const byTerm = Map.groupBy(notes, ({ term }) => term);
  return [...byTerm].filter(([, all]) => new Set(all.map(({ pid }) => pid)).size > 1).map(([term]) => term);
}

describe.each([{ kind: "SQLite" }, { kind: "PostgreSQL" }])(
  "who leads on $kind",
  { timeout: 120_000 },
  ({ kind }) => {
    let server: TestPostgres | null = null;
    let election: Election;
    let url: string | null = null;
    beforeAll(async () => {
      if (kind === "PostgreSQL") server = await startPostgres();
    });
    beforeEach(async () => {
      url = (await server?.database()) ?? null;
      election = new Election(url);
      for (let n = 0; n < PROCESSES; n += 1) await election.add();
    });
    afterEach(() => election.close());
    afterAll(() => server?.stop());

    async function expectOneAtATime(): Promise<void> {
      const { notes } = election;
      expect(overlaps(notes)).toEqual([]);
      expect(shared(notes)).toEqual([]);
    }

    it("is one process, and after its death another, never two", async () => {
      let leader = await election.leader();
      for (let kill = 0; kill < KILLS; kill += 1) {
        await election.kill(leader.pid);
        leader = await election.successor(leader.pid);
        await election.add();
      }
      await expectOneAtATime();
      expect(new Set(election.notes.map(({ pid }) => pid)).size).toBeGreaterThan(KILLS);
    });

    it.skipIf(process.platform === "win32")(
      "one that was suspended past its time does nothing when it wakes",
      async () => {
        const first = await election.leader();
        election.signal(first.pid, "SIGSTOP");
        await election.successor(first.pid);
        election.signal(first.pid, "SIGCONT");
        // It is awake for some rounds, beside the one who leads.
        const awake = election.notes.length;
        await until("some rounds", () => (election.notes.length > awake + 20 ? true : null), SUCCESSION_MS);
        await expectOneAtATime();
      },
    );

    it.skipIf(kind === "SQLite")(
      "one whose connections are cut leads on, or another does, never two",
      async () => {
        await election.leader();
        const client = new pg.Client({ connectionString: url ?? "" });
        client.on("error", () => undefined);
        await client.connect();
        for (let cut = 0; cut < 5; cut += 1) {
          await client.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agent-runner leader'`,
          );
          await sleep(LIMITS.leadRenewMs / 4);
        }
        await client.end();
        // Whether or not the last cut has changed who leads: somebody does.
        const noted = election.notes.length;
        await until("somebody who leads", () => election.notes.length > noted || null, SUCCESSION_MS);
        await expectOneAtATime();
      },
    );
  },
);
