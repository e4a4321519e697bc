import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { LIMITS } from "../../src/domain/limits.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { type Proxy as Cable, startProxy } from "../support/postgres-proxy.ts";
import type { ChaosHouse, SpawnOptions } from "./house.ts";

const HOUR_MS = 3_600_000;
/** Longer than a lease lasts. */
const PAST_LEASE_MS = LIMITS.leaseTtlMs + 1_500;

/** What can go wrong, and how often it does relative to the others. The slow ones are rare. */
const WEIGHTS = {
  kill: 40,
  killAtCommit: 16,
  cutOne: 16,
  cutAll: 4,
  crashDatabase: 4,
  suspend: 2,
  partition: 2,
  wrongClock: 8,
} as const;

export type Fault = keyof typeof WEIGHTS;
export const FAULTS = Object.keys(WEIGHTS) as readonly Fault[];

interface Victim {
  readonly child: ChildProcess;
  readonly proxy: Cable;
  /** A slow fault is under way. */
  busy: Promise<void> | null;
}

/** Three processes on one PostgreSQL, each by a cable of its own, and everything that can happen to them. */
export class Calamity {
  readonly counts = new Map<Fault, number>(FAULTS.map((fault) => [fault, 0]));
  readonly #house: ChaosHouse;
  readonly #server: TestPostgres;
  readonly #url: string;
  readonly #random: () => number;
  readonly #victims: Victim[] = [];

  constructor(of: {
    readonly house: ChaosHouse;
    readonly server: TestPostgres;
    readonly url: string;
    readonly random: () => number;
  }) {
    this.#house = of.house;
    this.#server = of.server;
    this.#url = of.url;
    this.#random = of.random;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  async begin(processes: number): Promise<void> {
    for (let n = 0; n < processes; n += 1) await this.#spawn();
  }

  /** The next fault; `only` names it, otherwise chance does. Slow ones go on in the background. */
  async strike(only?: Fault): Promise<void> {
    const fault = only ?? this.#draw();
    await this.#burst();
    await this.#do(fault);
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    await this.#replace();
  }

  /** No more faults: waits for the slow ones, and all that live are well. */
  async end(): Promise<void> {
    await Promise.all(this.#victims.map(({ busy }) => busy));
    await this.#replace();
  }

  async stop(): Promise<void> {
    for (const { child, proxy } of this.#victims) {
      await this.#house.stop(child);
      await proxy.close();
    }
  }

  #draw(): Fault {
    const sum = Object.values(WEIGHTS).reduce((all, weight) => all + weight, 0);
    let left = this.#random() * sum;
    for (const fault of FAULTS) {
      left -= WEIGHTS[fault];
      if (left < 0) return fault;
    }
    return "kill";
  }

  /** A moment of the seed's choosing: the instant of a fault, not a wait for anything. */
  #burst(): Promise<void> {
    return sleep(this.#random() * 80);
  }

  async #spawn(more: SpawnOptions = {}): Promise<void> {
    const proxy = await startProxy(this.#url, {});
    // Every other one says that it is elsewhere: nobody sees its process die, and its lease has to run out.
    const host = this.#random() < 0.3 ? { host: "elsewhere" } : {};
    const child = await this.#house.spawn({ url: proxy.url, ...host, ...more });
    this.#victims.push({ child, proxy, busy: null });
  }

  /** As many live as before. */
  async #replace(): Promise<void> {
    for (const victim of [...this.#victims]) {
      if (victim.child.exitCode === null && victim.child.signalCode === null) continue;
      await victim.busy;
      this.#victims.splice(this.#victims.indexOf(victim), 1);
      await victim.proxy.close();
      await this.#spawn();
    }
  }

  #any(): Victim {
    const idle = this.#victims.filter(({ busy }) => busy === null);
    const from = idle.length > 0 ? idle : this.#victims;
    return from[Math.floor(this.#random() * from.length)] as Victim;
  }

  async #do(fault: Fault): Promise<void> {
    const victim = this.#any();
    switch (fault) {
      case "kill":
        return this.#house.kill(victim.child);
      case "killAtCommit":
        await this.#house.kill(victim.child);
        return this.#spawnAgain(victim, { crashAt: this.#boundary() });
      case "wrongClock":
        await this.#house.kill(victim.child);
        return this.#spawnAgain(victim, {
          wrongClock: { ms: this.#random() < 0.5 ? HOUR_MS : -HOUR_MS, afterMs: this.#random() * 1_000 },
        });
      case "cutOne":
        return this.#cut("LIMIT 3");
      case "cutAll":
        return this.#cut("");
      case "crashDatabase":
        await this.#server.kill();
        await sleep(this.#random() * 500);
        return this.#server.start();
      case "suspend":
        return this.#slowly(
          victim,
          () => victim.child.kill("SIGSTOP"),
          () => victim.child.kill("SIGCONT"),
        );
      case "partition":
        return this.#slowly(
          victim,
          () => victim.proxy.pull(),
          () => victim.proxy.plug(),
        );
    }
  }

  #boundary(): string {
    const side = this.#random() < 0.5 ? "before" : "after";
    return `${side}:${1 + Math.floor(this.#random() * 12)}`;
  }

  async #spawnAgain(victim: Victim, more: SpawnOptions): Promise<void> {
    await victim.busy;
    this.#victims.splice(this.#victims.indexOf(victim), 1);
    await victim.proxy.close();
    await this.#spawn(more);
  }

  #slowly(victim: Victim, begin: () => void, end: () => void): void {
    const before = victim.busy;
    const slow = async () => {
      await before;
      begin();
      await sleep(PAST_LEASE_MS);
      end();
    };
    victim.busy = slow().finally(() => {
      victim.busy = null;
    });
  }

  /** Ends connections of the victims, as an administrator, a failover or a full server does. */
  async #cut(limit: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url });
    client.on("error", () => undefined);
    await client.connect();
    try {
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM (
           SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
             AND application_name LIKE 'agent-runner %' ORDER BY random() ${limit}) AS chosen`,
      );
    } finally {
      await client.end();
    }
  }
}
