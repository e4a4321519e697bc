import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { LIMITS } from "../../src/domain/limits.ts";
import type { Island, Network } from "../support/network.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startProxy } from "../support/postgres-proxy.ts";
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
  unplug: 2,
  poorLine: 4,
  wrongClock: 8,
} as const;

export type Fault = keyof typeof WEIGHTS;
const ALL = Object.keys(WEIGHTS) as readonly Fault[];
/** Those that need a network of the test's own. */
const ON_NETWORKS: ReadonlySet<Fault> = new Set(["unplug", "poorLine"]);
const POOR_LINE_MS = 2_000;
const LOST_PERCENT = 20;

/** The way of one process to the database. */
interface Cable {
  readonly url: string;
  readonly island: Island | null;
  pull(): void | Promise<void>;
  plug(): void | Promise<void>;
  close(): Promise<void>;
}

interface Victim {
  readonly child: ChildProcess;
  readonly cable: Cable;
  /** A slow fault is under way. */
  busy: Promise<void> | null;
}

/** Three processes on one PostgreSQL, each by a cable of its own, and everything that can happen to them. */
export class Calamity {
  readonly counts: Map<Fault, number>;
  readonly #house: ChaosHouse;
  readonly #server: TestPostgres;
  readonly #url: string;
  readonly #random: () => number;
  readonly #network: Network | null;
  readonly #islands: Island[];
  readonly #victims: Victim[] = [];

  constructor(of: {
    readonly house: ChaosHouse;
    readonly server: TestPostgres;
    readonly url: string;
    readonly random: () => number;
    /** Null where there can be none: then every process has a proxy for a cable. */
    readonly network: Network | null;
  }) {
    this.#house = of.house;
    this.#server = of.server;
    this.#url = of.url;
    this.#random = of.random;
    this.#network = of.network;
    this.#islands = [...(of.network?.islands ?? [])];
    this.counts = new Map(this.faults.map((fault) => [fault, 0]));
  }

  /** What can happen here. */
  get faults(): readonly Fault[] {
    return ALL.filter((fault) => this.#network !== null || !ON_NETWORKS.has(fault));
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
    for (const { child, cable } of this.#victims) {
      await this.#house.stop(child);
      await cable.close();
    }
  }

  #draw(): Fault {
    const sum = this.faults.reduce((all, fault) => all + WEIGHTS[fault], 0);
    let left = this.#random() * sum;
    for (const fault of this.faults) {
      left -= WEIGHTS[fault];
      if (left < 0) return fault;
    }
    return "kill";
  }

  /** A moment of the seed's choosing: the instant of a fault, not a wait for anything. */
  #burst(): Promise<void> {
    return sleep(this.#random() * 80);
  }

  /** `on`: a network of its own, or a proxy; chance decides when absent. */
  async #spawn(more: SpawnOptions = {}, on?: "island" | "proxy"): Promise<void> {
    const island = (on ?? (this.#random() < 0.5 ? "island" : "proxy")) === "island";
    const cable = await this.#cable(island ? (this.#islands.shift() ?? null) : null);
    // Some say that they are elsewhere: nobody sees the process die, and its lease has to run out.
    const host = this.#random() < 0.3 ? { host: "elsewhere" } : {};
    const where = cable.island === null ? {} : { island: cable.island };
    const child = await this.#house.spawn({ url: cable.url, ...host, ...where, ...more });
    this.#victims.push({ child, cable, busy: null });
  }

  async #cable(island: Island | null): Promise<Cable> {
    if (island === null || this.#network === null) {
      const proxy = await startProxy(this.#url, {});
      const { url } = proxy;
      return { url, island: null, pull: proxy.pull, plug: proxy.plug, close: proxy.close };
    }
    const own = new URL(this.#url);
    own.hostname = this.#network.address;
    return {
      url: own.href,
      island,
      pull: island.cut,
      plug: island.mend,
      close: async () => {
        await island.mend();
        this.#islands.push(island);
      },
    };
  }

  /** As many live as before. */
  async #replace(): Promise<void> {
    for (const victim of [...this.#victims]) {
      if (victim.child.exitCode === null && victim.child.signalCode === null) continue;
      await victim.busy;
      this.#victims.splice(this.#victims.indexOf(victim), 1);
      await victim.cable.close();
      await this.#spawn();
    }
  }

  #any(wanted: (victim: Victim) => boolean = () => true): Victim {
    const all = this.#victims.filter(wanted);
    const idle = all.filter(({ busy }) => busy === null);
    const from = idle.length > 0 ? idle : all;
    return from[Math.floor(this.#random() * from.length)] as Victim;
  }

  /** One whose way is of this kind; when there is none, another makes room for it. */
  async #on(kind: "island" | "proxy"): Promise<Victim> {
    const fits = ({ cable }: Victim) => (cable.island !== null) === (kind === "island");
    if (!this.#victims.some(fits)) {
      const other = this.#any();
      await this.#house.kill(other.child);
      await this.#spawnAgain(other, {}, kind);
    }
    return this.#any(fits);
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
        return this.#slowly(victim, {
          begin: () => victim.child.kill("SIGSTOP"),
          end: () => victim.child.kill("SIGCONT"),
        });
      case "partition":
      case "unplug": {
        const far = await this.#on(fault === "unplug" ? "island" : "proxy");
        return this.#slowly(far, { begin: () => far.cable.pull(), end: () => far.cable.plug() });
      }
      case "poorLine": {
        const far = await this.#on("island");
        const begin = async () => {
          // A kernel that loses no packets on demand loses all of them for a while.
          if ((await far.cable.island?.lose(LOST_PERCENT)) === null) await far.cable.pull();
        };
        return this.#slowly(far, { begin, end: () => far.cable.plug(), ms: POOR_LINE_MS });
      }
    }
  }

  #boundary(): string {
    const side = this.#random() < 0.5 ? "before" : "after";
    return `${side}:${1 + Math.floor(this.#random() * 12)}`;
  }

  async #spawnAgain(victim: Victim, more: SpawnOptions, on?: "island" | "proxy"): Promise<void> {
    await victim.busy;
    this.#victims.splice(this.#victims.indexOf(victim), 1);
    await victim.cable.close();
    await this.#spawn(more, on);
  }

  #slowly(
    victim: Victim,
    { begin, end, ms = PAST_LEASE_MS }: { begin(): unknown; end(): unknown; readonly ms?: number },
  ): void {
    const before = victim.busy;
    const slow = async () => {
      await before;
      await begin();
      await sleep(ms);
      await end();
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
