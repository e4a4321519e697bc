import { afterEach, beforeEach } from "vitest";
import type { Clock } from "../../base/clock.ts";
import type { Fact, FactBody, RunRequest } from "../../domain/fact.ts";
import type { Admission, Claim, Commit, Posting, RunReader, RunStore, WorkerInfo } from "../run-store.ts";
import type { ScheduleStore } from "../schedule-store.ts";
import type { WorkflowStore } from "../workflow-store.ts";

/** What the suites are given: an empty store over `clock`, whose workers beat only when they are told to. */
export interface StoreUnderTest {
  readonly store: RunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly schedules: ScheduleStore;
  /** False when the worker is not known any more. */
  beat(worker: string): boolean | Promise<boolean>;
  close(): Promise<void>;
}

export interface StoreMaker {
  readonly name: string;
  open(clock: Clock): Promise<StoreUnderTest>;
}

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export const START = 1_700_000_000_000;

export function manualClock(): ManualClock {
  let now = START;
  return {
    now: () => now,
    after: () => () => undefined,
    advance: (ms) => {
      now += ms;
    },
  };
}

export function request(over: Partial<RunRequest> = {}): RunRequest {
  return {
    workflow: { name: "fix", version: "1", hash: "a".repeat(64) },
    inputs: { issue: 7 },
    title: "Fix the build",
    tenant: "default",
    queue: "default",
    priority: 2,
    deadlineAt: null,
    parent: null,
    ...over,
  };
}

export function admission(id: string, over: Partial<RunRequest> = {}, at = START): Admission {
  return { id, request: request(over), idempotency: null, at };
}

export function childOf(run: string, id: string, over: Partial<RunRequest> = {}): Admission {
  return admission(id, { parent: { run, step: "fan", depth: 1 }, ...over });
}

export function worker(id: string, over: Partial<WorkerInfo> = {}): WorkerInfo {
  return { id, host: "elsewhere", pid: 1, processStart: "", slots: 8, ...over };
}

export function commit(claim: Claim, over: Partial<Commit> = {}): Commit {
  return {
    claim,
    facts: [],
    next: { kind: "hold" },
    started: false,
    paused: false,
    consumed: [],
    children: [],
    posts: [],
    approvals: [],
    closedApprovals: [],
    ...over,
  };
}

/** Facts with dense numbers from `first`. */
export function facts(first: number, bodies: readonly FactBody[], at = START): Fact[] {
  return bodies.map((body, index) => ({ ...body, seq: first + index, at: at + first + index }));
}

export function started(step: string, attempt = 1): FactBody {
  return { kind: "step_started", step, attempt, input: null };
}

export function succeeded(step: string, output: string | null = null, attempt = 1): FactBody {
  return { kind: "step_succeeded", step, attempt, output };
}

export function signal(run: string, id: string, over: Partial<Posting> = {}): Posting {
  return { run, id, kind: "signal", name: "go", body: { n: 1 }, from: "api", at: START, ...over };
}

export const COMPLETED = { kind: "end", status: "completed", output: { ok: true }, failure: null } as const;

/** Admits, joins a worker named `w` and claims: the shortest way to a held run. */
export async function held(store: RunStore, id = "run_1", over: Partial<RunRequest> = {}): Promise<Claim> {
  await store.join(worker("w"));
  await store.admit([admission(id, over)]);
  const [claim] = (await store.claim({ worker: "w", limit: 1 })) ?? [];
  if (claim?.run !== id) throw new Error(`expected to claim ${id}, got ${claim?.run}`);
  return claim;
}

/** A fresh store for each test, and the shorthands the suites are written in. */
export interface UnderTest {
  store(): RunStore;
  reader(): RunReader;
  clock(): ManualClock;
  under(): StoreUnderTest;
  /** Claims for a worker that is known. */
  take(limit: number, worker?: string): Promise<readonly Claim[]>;
  statusOf(run: string): Promise<string | undefined>;
  allFacts(run: string): Promise<readonly Fact[] | null>;
  readonly page: { readonly after: null; readonly limit: number };
}

export function useStore(maker: StoreMaker): UnderTest {
  let clock: ManualClock;
  let under: StoreUnderTest;
  beforeEach(async () => {
    clock = manualClock();
    under = await maker.open(clock);
  });
  afterEach(async () => under.close());
  return {
    store: () => under.store,
    reader: () => under.reader,
    clock: () => clock,
    under: () => under,
    async take(limit, id = "w") {
      const claims = await under.store.claim({ worker: id, limit });
      if (claims === null) throw new Error(`worker ${id} is not known`);
      return claims;
    },
    statusOf: async (run) => (await under.reader.run(run))?.status,
    allFacts: (run) => under.reader.factsOf(run, { after: 0, limit: 1_000 }),
    page: { after: null, limit: 100 },
  };
}
