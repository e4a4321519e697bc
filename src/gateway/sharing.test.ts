import { describe, expect, it } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import type { HealthBoard } from "../contracts/health-board.ts";
import { type SharedHealth, unknownHealth } from "../domain/shared-health.ts";
import { BREAKER } from "./breaker.ts";
import type { ModelHealth } from "./health.ts";
import { HealthBook } from "./health-book.ts";
import { HealthSharing } from "./sharing.ts";

const TOKENS = 1_000;
const LEASE_MS = BREAKER.leaseMs;
/** Longer than any breaker stays open the first time, and shorter than it takes to forget. */
const FIRST_OPEN_MS = 5_100;

/** What several processes share, without a database: `mood` says how it answers. */
function createHub(clock: ManualClock) {
  const rows = new Map<string, SharedHealth>();
  const state = { mood: "well" as "well" | "broken" | "stuck" | "read-only", reads: 0, writes: 0 };
  const answer = async <T>(value: () => T): Promise<T> => {
    if (state.mood === "broken") throw new Error("the database is gone");
    if (state.mood === "stuck") return new Promise<T>(() => {});
    return value();
  };
  const change = <T>(value: () => T): Promise<T> =>
    answer(() => {
      if (state.mood === "read-only") throw new Error("the database is locked");
      return value();
    });
  const key = ({ account, model }: { account: string; model: string }) => `${account} ${model}`;
  const put = (row: SharedHealth) => {
    const next = { ...row, version: row.version + 1, at: clock.now() };
    rows.set(key(row), next);
    return next;
  };
  const board: HealthBoard = {
    read: () => {
      state.reads += 1;
      return answer(() => [...rows.values()]);
    },
    swap: (changes) => {
      state.writes += 1;
      return change(() =>
        changes.map((row) => ((rows.get(key(row))?.version ?? 0) === row.version ? put(row) : null)),
      );
    },
    lease: ({ phase, by, ms, ...of }) =>
      change(() => {
        const row = rows.get(key(of));
        const now = clock.now();
        if (row === undefined || row.phase !== phase || row.openUntil === null || row.openUntil > now)
          return null;
        if (row.probeUntil > now && row.probeBy !== by) return null;
        return put({ ...row, probeBy: by, probeUntil: now + ms });
      }),
  };
  return { rows, state, board };
}

function setUp(names: readonly string[] = ["wrk_a", "wrk_b"], accounts: readonly string[] = []) {
  const clock = new ManualClock();
  const hub = createHub(clock);
  const said: string[] = [];
  const log = {
    debug: () => {},
    info: (_: object, message: string) => void said.push(message),
    warn: (_: object, message: string) => void said.push(message),
    error: () => {},
  };
  const processes = names.map((self, n) => {
    const random = () => 0.5;
    const book = new HealthBook({ now: () => clock.now(), random });
    book.useAccounts(new Map([["p", accounts[n] ?? "key"]]));
    const sharing = new HealthSharing({
      book,
      board: hub.board,
      clock,
      random,
      log,
      self,
      leaseMs: LEASE_MS,
    });
    sharing.start();
    return { book, sharing, health: book.of("p", "m") };
  });
  return { clock, hub, said, processes };
}

function failOnce(health: ModelHealth): void {
  health.end(health.start(), { fault: "fault", ms: 10 }, TOKENS);
}

function fails(health: ModelHealth): void {
  for (let n = 0; n < BREAKER.consecutive; n += 1) failOnce(health);
}

/** A call that would go to the model if it may: whether it may, and as what. */
function wouldCall(health: ModelHealth): "yes" | "probe" | "no" {
  health.consider();
  return health.breaker.admits;
}

function succeeds(health: ModelHealth, ms = 100): void {
  const ticket = health.start();
  health.firstToken(ticket, ms, TOKENS);
  health.end(ticket, { fault: null, ms }, TOKENS);
}

describe("what one process learns", () => {
  it("closes a model's door in the other within a second, which says who told it", async () => {
    const { clock, processes } = setUp();
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];
    await clock.advance(1_000);
    fails(a.health);
    expect(b.health.blocked).toBeNull();
    await clock.advance(1_200);
    expect(b.health.blocked).toMatchObject({ kind: "open" });
    expect(b.health.view()).toMatchObject({ state: "open", from: "wrk_a", errorRate: 0, samples: 0 });
    expect(a.health.view()).toMatchObject({ state: "open", from: null });
  });

  it("reaches a process that begins later, and only with the same account", async () => {
    const { clock, processes } = setUp(["wrk_a", "wrk_b"], ["key", "another"]);
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];
    await clock.advance(1_000);
    a.health.end(a.health.start(), { fault: "refused-us", ms: 5 }, TOKENS);
    await clock.advance(2_000);
    expect(b.health.blocked).toBeNull();
    b.book.useAccounts(new Map([["p", "key"]]));
    await clock.advance(1_200);
    // Under another key nothing is known of it: the book has begun anew.
    expect(b.book.of("p", "m").blocked).toMatchObject({ kind: "quarantined" });
    expect(b.book.of("p", "m").view()).toMatchObject({ state: "quarantined", from: "wrk_a" });
  });

  it("a rate limit's window, and how fast a model is", async () => {
    const { clock, processes } = setUp();
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];
    succeeds(a.health, 4_000);
    a.health.end(a.health.start(), { fault: "rate", ms: 5, retryAfterMs: 9_000 }, TOKENS);
    await clock.advance(1_500);
    expect(b.health.blocked?.kind).toBe("limited");
    expect(b.health.limitedForMs).toBe(7_500);
    expect(b.health.ttftMs(TOKENS)).toBe(4_000);
    expect(b.health.view()).toMatchObject({ state: "limited", from: "wrk_a", ttftMs: 4_000 });
    await clock.advance(8_000);
    expect(b.health.view()).toMatchObject({ state: "unused", from: "wrk_a" });
    // What it sees itself counts for more, and is its own.
    succeeds(b.health, 200);
    expect(b.health.ttftMs(TOKENS)).toBeLessThan(300);
    expect(b.health.view()).toMatchObject({ state: "ok", from: null });
  });

  it("is told again when the board has lost it", async () => {
    const { clock, hub, processes } = setUp();
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];
    fails(a.health);
    await clock.advance(1_200);
    hub.rows.clear();
    await clock.advance(1_500);
    expect(a.health.blocked).not.toBeNull();
    expect(b.health.blocked).not.toBeNull();
    expect([...hub.rows.values()][0]).toMatchObject({ model: "p/m", phase: 1 });
  });

  it("is not overruled by what was known before it", async () => {
    const { clock, hub, processes } = setUp();
    const [a] = processes as [(typeof processes)[0]];
    await clock.advance(1_000);
    hub.state.mood = "broken";
    fails(a.health);
    await clock.advance(1_000);
    hub.state.mood = "well";
    await clock.advance(2_000);
    expect(a.health.blocked).not.toBeNull();
    expect([...hub.rows.values()][0]).toMatchObject({ openings: 1 });
  });
});

describe("the probe", () => {
  async function bothDue() {
    const all = setUp();
    const [a, b] = all.processes as [(typeof all.processes)[0], (typeof all.processes)[0]];
    await all.clock.advance(1_000);
    fails(a.health);
    await all.clock.advance(FIRST_OPEN_MS);
    return { ...all, a, b };
  }

  it("is one process's, no call waits for it, and its first token opens the door for all", async () => {
    const { clock, a, b } = await bothDue();
    // Nobody has the right yet: these calls go elsewhere, and it is asked for beside them.
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["no", "no"]);
    await clock.advance(500);
    const admitted = [wouldCall(a.health), wouldCall(b.health)];
    expect(admitted.toSorted()).toEqual(["no", "probe"]);
    const [one, other] = admitted[0] === "probe" ? [a, b] : [b, a];
    const ticket = one.health.start();
    expect(ticket.probe).toBe(true);
    await clock.advance(5_000);
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["no", "no"]);
    one.health.firstToken(ticket, 5_000, TOKENS);
    expect(wouldCall(one.health)).toBe("yes");
    await clock.advance(1_200);
    expect(wouldCall(other.health)).toBe("yes");
    expect(other.health.view().state).toBe("unused");
  });

  it("that fails keeps all out for longer", async () => {
    const { clock, hub, a, b } = await bothDue();
    wouldCall(a.health);
    await clock.advance(500);
    expect(wouldCall(a.health)).toBe("probe");
    failOnce(a.health);
    await clock.advance(1_200);
    expect(b.health.blocked?.detail).toMatch(/^next probe in/);
    const [row] = [...hub.rows.values()];
    expect(row).toMatchObject({ openings: 2, phase: 2, probeBy: null });
    expect((row?.openUntil ?? 0) - clock.now()).toBeGreaterThan(FIRST_OPEN_MS);
  });

  it("that says nothing either way is made again by the same process", async () => {
    const { clock, a, b } = await bothDue();
    wouldCall(a.health);
    await clock.advance(500);
    a.health.end(a.health.start(), { fault: "caller", ms: 5 }, TOKENS);
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["probe", "no"]);
  });

  it("is another's when the lease was not used, and when its process stopped", async () => {
    const { clock, a, b } = await bothDue();
    wouldCall(a.health);
    await clock.advance(500);
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["probe", "no"]);
    await clock.advance(LEASE_MS / 3 + 2_000);
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["no", "probe"]);
    await b.sharing.stop();
    await clock.advance(2_500);
    expect(wouldCall(a.health)).toBe("probe");
  });

  it("of a process that was killed is another's when its lease is over, not before", async () => {
    const { clock, hub, processes, a, b } = await bothDue();
    wouldCall(a.health);
    await clock.advance(500);
    a.health.start();
    // Killed: nothing is heard of it any more.
    const [row] = [...hub.rows.values()] as [SharedHealth];
    expect(row.probeBy).toBe("wrk_a");
    processes.shift();
    for (let ms = 0; ms < LEASE_MS - 2_000; ms += 500) {
      expect(wouldCall(b.health)).toBe("no");
      await clock.advance(500);
    }
    await clock.advance(1_500);
    wouldCall(b.health);
    await clock.advance(2_000);
    expect(wouldCall(b.health)).toBe("probe");
  });

  it("comes to a process that calls once in an hour only", async () => {
    const { clock, a } = await bothDue();
    wouldCall(a.health);
    await clock.advance(600_000);
    // The lease was left to others in between, and nobody wanted it.
    const tries = [wouldCall(a.health)];
    await clock.advance(3_000);
    tries.push(wouldCall(a.health));
    expect(tries).toContain("probe");
  });

  it("does not wait for ever for one that nobody made: it is forgotten", async () => {
    const { clock, a, b } = await bothDue();
    await clock.advance(1_800_000);
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["yes", "yes"]);
  });
});

describe("while the store", () => {
  it("is away, each process judges for itself, and says so once", async () => {
    const { clock, hub, said, processes } = setUp();
    const [a, b] = processes as [(typeof processes)[0], (typeof processes)[0]];
    await clock.advance(1_000);
    fails(a.health);
    await clock.advance(1_200);
    hub.state.mood = "broken";
    await clock.advance(6_000);
    expect([wouldCall(a.health), wouldCall(b.health)]).toEqual(["probe", "probe"]);
    succeeds(a.health);
    expect(wouldCall(a.health)).toBe("yes");
    await clock.advance(30_000);
    expect(said.filter((one) => one.includes("alone"))).toHaveLength(2);
    hub.state.mood = "well";
    await clock.advance(2_000);
    expect(said.filter((one) => one.includes("again"))).toHaveLength(2);
    // What was found out meanwhile is told: the other need not probe any more.
    expect(wouldCall(b.health)).toBe("yes");
  });

  it("does not answer, nobody waits for it", async () => {
    const { clock, hub, processes } = setUp();
    const [a] = processes as [(typeof processes)[0]];
    await clock.advance(1_000);
    fails(a.health);
    hub.state.mood = "stuck";
    await clock.advance(6_000);
    expect(a.sharing.live).toBe(false);
    expect(wouldCall(a.health)).toBe("probe");
  });

  it("can be read and not written, nobody waits for a right that it cannot give", async () => {
    const { clock, hub, processes } = setUp();
    const [a] = processes as [(typeof processes)[0]];
    await clock.advance(1_000);
    fails(a.health);
    await clock.advance(1_200);
    hub.state.mood = "read-only";
    await clock.advance(4_000);
    wouldCall(a.health);
    await clock.advance(5_000);
    expect(wouldCall(a.health)).toBe("probe");
  });

  it("answers, it is asked a few times a second at most, and once a second when nothing happens", async () => {
    const { clock, hub, processes } = setUp(["wrk_a"]);
    const [a] = processes as [(typeof processes)[0]];
    await clock.advance(1_000);
    const before = hub.state.reads;
    await clock.advance(10_000);
    expect(hub.state.reads - before).toBeLessThanOrEqual(10);
    const quiet = { ...hub.state };
    for (let n = 0; n < 1_000; n += 1) {
      a.health.end(a.health.start(), { fault: "rate", ms: 5, retryAfterMs: 60_000 }, TOKENS);
      succeeds(a.health);
      await clock.advance(10);
    }
    expect(hub.state.reads - quiet.reads).toBeLessThanOrEqual(55);
    expect(hub.state.writes - quiet.writes).toBeLessThanOrEqual(55);
  });
});

it("a board with models of others says nothing of ours", async () => {
  const { clock, hub, processes } = setUp(["wrk_a"]);
  const [a] = processes as [(typeof processes)[0]];
  for (const model of ["q/m", "nonsense", "p/other"]) {
    hub.rows.set(model, {
      ...unknownHealth(model, "key"),
      version: 1,
      phase: 1,
      openUntil: clock.now() + 60_000,
    });
  }
  await clock.advance(1_000);
  expect(a.book.names.toSorted()).toEqual(["p/m", "p/other"]);
  expect(a.health.blocked).toBeNull();
  expect(a.book.of("p", "other").blocked).not.toBeNull();
});
