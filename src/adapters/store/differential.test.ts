// Long because the one random sequence, its three stores and their comparison only make sense beside each other.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { emptyDatabase, startPostgres } from "../../../tests/support/postgres.ts";
import type { Admission, Claim, Commit, Committed, Posting, RunReader } from "../../contracts/run-store.ts";
import {
  admission,
  commit,
  facts,
  type ManualClock,
  manualClock,
  type StoreUnderTest,
  worker,
} from "../../contracts/run-store-suite/fixtures.suite.ts";
import type { FactBody, Slot } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import { RUN_STATUSES } from "../../domain/run.ts";
import type { Sla } from "../../domain/sla.ts";
import { createMemoryStore } from "./memory/store.ts";
import { openPostgresStore, type PostgresStore } from "./postgres/open.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite/open.ts";

/**
 * One random sequence of verbs on the SQLite store, on PostgreSQL and on the model in plain values: every answer, and
 * everything that can be read afterwards, is the same. Names are few on purpose, so that they collide.
 */

const RUNS = Array.from({ length: 12 }, (_, n) => `run_${n}`);
const WORKERS = ["w1", "w2"];
const LABELS = ["gpu", "linux"];
const SLOT_KEYS = ["key:a", "key:b", "tenant:t1"];
const APPROVALS = ["apr_1", "apr_2", "apr_3"];
const STEPS = ["a", "b", "c", "d", "e", "f"];
const POSTING_KINDS = [
  "cancel",
  "pause",
  "resume",
  "signal",
  "message",
  "approval",
  "child",
  "reply",
] as const;

/** One store, and what it calls the claims that the model knows by their tokens: numbers are each store's own. */
interface Subject {
  readonly name: string;
  readonly under: StoreUnderTest;
  readonly claims: Map<number, Claim>;
}

interface Pair {
  readonly clock: ManualClock;
  readonly subjects: readonly Subject[];
  readonly memory: StoreUnderTest;
  /** Claims that may still hold their run. */
  live: Claim[];
  /** Claims that do not. */
  readonly stale: Claim[];
}

/** A whole number below the bound. */
type Draw = (below: number) => number;

/** mulberry32: small, fast, and the same everywhere. */
function seeded(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function pick<T>(draw: Draw, from: readonly T[]): T {
  return from[draw(from.length)] as T;
}

function chance(draw: Draw, outOf: number): boolean {
  return draw(outOf) === 1;
}

function someOf<T>(draw: Draw, most: number, make: () => T): T[] {
  return Array.from({ length: draw(most + 1) }, make);
}

function someSlots(draw: Draw): readonly Slot[] {
  if (!chance(draw, 2)) return [];
  const keys = SLOT_KEYS.filter(() => chance(draw, 2));
  return keys.map((key) => ({
    key,
    limit: 1 + draw(chance(draw, 4) ? 3 : 1),
    hold: pick(draw, ["lease", "run"]),
    onConflict: pick(draw, ["queue", "queue", "queue", "cancel_older", "reject"]),
  }));
}

function aPromise(draw: Draw, now: number): Sla {
  return { class: "normal", startBy: chance(draw, 3) ? null : now + draw(4_000), targetMs: null };
}

function anAdmission(draw: Draw, now: number, parent: string | null): Admission {
  const text = chance(draw, 8) ? "x".repeat(LIMITS.inlineBodyBytes + draw(500)) : "small";
  const over = {
    inputs: { text },
    priority: draw(3),
    tenant: pick(draw, ["t1", "t2"]),
    queue: pick(draw, ["q1", "q2"]),
    title: chance(draw, 12) ? "another title" : "a title",
    parent: parent === null ? null : { run: parent, step: "fan", depth: 1 },
    ...(chance(draw, 5) ? { needs: someOf(draw, 2, () => pick(draw, LABELS)) } : {}),
    slots: someSlots(draw),
    ...(chance(draw, 4) ? { deadlineAt: now + draw(4_000) } : {}),
    ...(chance(draw, 3) ? { sla: aPromise(draw, now) } : {}),
  };
  const idempotency = chance(draw, 6)
    ? { key: pick(draw, ["k1", "k2", "k3"]), bodyHash: pick(draw, ["h1", "h2"]) }
    : null;
  // Now and then somebody urgent comes to a full queue.
  if (chance(draw, 10)) {
    return {
      ...admission(pick(draw, RUNS), { ...over, priority: 0 }, now),
      caps: { queue: 1, tenant: null },
    };
  }
  const caps = chance(draw, 2)
    ? { queue: chance(draw, 2) ? draw(6) : null, tenant: chance(draw, 2) ? draw(5) : null }
    : null;
  return {
    ...admission(pick(draw, RUNS), over, now),
    idempotency,
    ...(caps === null ? {} : { caps }),
    ...(chance(draw, 4) ? { weight: pick(draw, [0.5, 2, 3]) } : {}),
  };
}

function aPosting(draw: Draw, now: number): Posting {
  return {
    run: pick(draw, [...RUNS.slice(0, 6), "run_unknown"]),
    id: `m${draw(5)}`,
    kind: pick(draw, POSTING_KINDS),
    name: "go",
    body: { n: draw(3) },
    from: "api",
    at: now,
  };
}

function aFact(draw: Draw): FactBody {
  const step = pick(draw, STEPS);
  const failure = { code: "step_failed", message: "no", retryable: false };
  const bodies: FactBody[] = [
    { kind: "step_started", step, attempt: 1 + draw(2), input: { n: draw(3) } },
    { kind: "noted", step, name: "n", data: {} },
    { kind: "run_paused", by: "api" },
    { kind: "step_succeeded", step, attempt: 1, output: "y".repeat(chance(draw, 6) ? 5_000 : 5) },
    { kind: "step_failed", step, attempt: 1, failure },
    { kind: "step_retrying", step, attempt: 1, failure, nextAt: draw(100) },
    { kind: "step_skipped", step, reason: "no need" },
    { kind: "step_waiting", step, attempt: 1, waits: [] },
    { kind: "noted", step, name: "n", data: { umlaut: "ä\u0000😀" } },
    { kind: "run_started", worker: "w1" },
    { kind: "cancel_requested", by: "api", reason: "" },
  ];
  const rare: FactBody[] = [
    { kind: "run_completed", output: null },
    { kind: "run_failed", failure },
  ];
  return pick(draw, chance(draw, 40) ? rare : bodies);
}

function aNext(draw: Draw, now: number): Commit["next"] {
  switch (draw(8)) {
    case 0:
      return { kind: "yield" };
    case 1:
    case 2: {
      const wakeAt = chance(draw, 2) ? now + draw(2_000) : null;
      return { kind: "rest", wakeAt, waitingFor: someOf(draw, 2, () => `signal:${draw(3)}`) };
    }
    case 3: {
      const status = pick(draw, ["completed", "failed", "canceled"] as const);
      const failure = status === "failed" ? { code: "step_failed", message: "no", retryable: false } : null;
      return { kind: "end", status, output: { n: draw(3) }, failure };
    }
    default:
      return { kind: "hold" };
  }
}

function anExpiry(draw: Draw, now: number): number | null {
  return chance(draw, 3) ? now + draw(1_000) : null;
}

async function aCommit(draw: Draw, pair: Pair): Promise<Commit> {
  const now = pair.clock.now();
  const invented = { no: 1, run: "run_0", token: 0, worker: "w1" };
  const from = chance(draw, 8) ? pair.stale.slice(-8) : pair.live;
  const claim = pick(draw, from.length > 0 ? from : [invented]);
  const last = (await pair.memory.store.facts(claim.no, 0, 10_000)).length;
  const first = last + (chance(draw, 20) ? 2 : 1);
  const asked = (): Commit["approvals"][number] => ({
    step: pick(draw, STEPS),
    request: {
      id: pick(draw, APPROVALS),
      title: "?",
      details: { a: [1] },
      risk: "low",
      expiresAt: anExpiry(draw, now),
    },
  });
  return commit(claim, {
    facts: facts(
      first,
      someOf(draw, 3, () => aFact(draw)),
      now,
    ),
    next: aNext(draw, now),
    started: chance(draw, 2),
    paused: chance(draw, 4),
    consumed: someOf(draw, 3, () => `m${draw(5)}`),
    children: chance(draw, 4)
      ? someOf(draw, 2, () => anAdmission(draw, now, chance(draw, 8) ? null : claim.run))
      : [],
    posts: chance(draw, 4) ? someOf(draw, 2, () => aPosting(draw, now)) : [],
    approvals: chance(draw, 4) ? someOf(draw, 2, asked) : [],
    closedApprovals: chance(draw, 5) ? [{ id: pick(draw, APPROVALS), status: "expired" }] : [],
  });
}

/** Facts of one batch that go to the same run would need each other's numbers: a batch has a run at most once. */
function onePerRun(batch: readonly Commit[]): Commit[] {
  return [...new Map(batch.map((entry) => [entry.claim.no, entry])).values()];
}

interface Operation {
  readonly name: string;
  /** `own` gives the store's own name of a claim of the model. */
  readonly verb: (on: StoreUnderTest, own: (claim: Claim) => Claim) => unknown;
  readonly batch?: readonly Commit[];
}

async function aVerb(draw: Draw, pair: Pair): Promise<Operation> {
  const now = pair.clock.now();
  // With nothing held, most commits would only be fenced.
  const kind = draw(28);
  switch (kind > 16 && pair.live.length === 0 && !chance(draw, 6) ? draw(17) : kind) {
    case 0:
    case 1: {
      const parent = chance(draw, 4) ? pick(draw, RUNS) : null;
      const batch = someOf(draw, 3, () => anAdmission(draw, now, parent));
      return { name: "admit", verb: ({ store }) => store.admit(batch) };
    }
    case 2: {
      const who = worker(pick(draw, WORKERS), { labels: LABELS.filter(() => chance(draw, 2)) });
      return { name: "join", verb: ({ store }) => store.join(who) };
    }
    case 3: {
      const who = pick(draw, [...WORKERS, ...Array.from({ length: 6 }, () => "nobody")]);
      return { name: "leave", verb: ({ store }) => store.leave(who) };
    }
    case 4:
    case 5:
    case 11:
    case 12: {
      const request = { worker: pick(draw, ["w1", ...WORKERS]), limit: draw(4) };
      return { name: "claim", verb: ({ store }) => store.claim(request) };
    }
    case 6: {
      const batch = someOf(draw, 4, () => aPosting(draw, now));
      return { name: "post", verb: ({ store }) => store.post(batch) };
    }
    case 7:
    case 13: {
      pair.clock.advance(draw(chance(draw, 4) ? LIMITS.leaseTtlMs : 800));
      const limit = draw(4);
      return { name: "wakeDue", verb: ({ store }) => store.wakeDue(pair.clock.now(), limit) };
    }
    case 14: {
      const before = now - draw(3_000);
      const limit = draw(3);
      return { name: "prune", verb: ({ store }) => store.prune(before, limit) };
    }
    case 15: {
      const batch = SLOT_KEYS.filter(() => chance(draw, 2)).map((key) => ({ key, limit: 1 + draw(4) }));
      return { name: "resize", verb: ({ store }) => store.resize(batch) };
    }
    case 16: {
      const request = { worker: pick(draw, WORKERS), now, limit: draw(4) };
      return { name: "claimLate", verb: ({ store }) => store.claimLate(request) };
    }
    case 8:
      return { name: "reap", verb: ({ store }) => store.reap(pair.clock.now()) };
    case 9: {
      const who = pick(draw, WORKERS);
      return { name: "beat", verb: (on) => on.beat(who) };
    }
    case 10: {
      const approval = pick(draw, APPROVALS);
      const answer = pick(draw, ["approved", "denied"] as const);
      const said = { approval, answer, by: "ann", comment: "", at: now };
      return { name: "answer", verb: ({ store }) => store.answerApproval(said) };
    }
    default: {
      const batch: Commit[] = [];
      for (let n = 1 + draw(3); n > 0; n -= 1) batch.push(await aCommit(draw, pair));
      const distinct = onePerRun(batch);
      return {
        name: "commit",
        verb: ({ store }, own) =>
          store.commit(distinct.map((entry) => ({ ...entry, claim: own(entry.claim) }))),
        batch: distinct,
      };
    }
  }
}

/** What is counted; averages are compared apart, since each store adds them up in its own order. */
async function countsOf(reader: RunReader, now: number): Promise<object> {
  const { serviceMs: _, drainedPerSecond: __, ...counts } = await reader.load(now);
  return counts;
}

/** The moments of one batch may lie apart by milliseconds, which fade by that much. */
async function sameRates(ours: RunReader, models: RunReader, now: number): Promise<void> {
  const [own, model] = await Promise.all([ours.load(now), models.load(now)]);
  for (const key of ["serviceMs", "drainedPerSecond"] as const) {
    const [a, b] = [own[key] ?? -1, model[key] ?? -1];
    if (Math.abs(a - b) > Math.abs(b) / 500) expect({ [key]: a }).toEqual({ [key]: b });
  }
}

/** Everything there is to read. */
async function snapshot({ store, reader }: StoreUnderTest, now: number): Promise<object> {
  // Numbers that were given out and not used leave gaps in some stores.
  const numbers = Array.from({ length: MOST_NUMBERS }, (_, n) => n + 1);
  const page = { after: null, limit: 100 };
  return {
    counts: await reader.counts(),
    runs: await reader.runs({ filter: {}, ...page }),
    byStatus: await Promise.all(
      RUN_STATUSES.map((status) => reader.runs({ filter: { status: [status] }, ...page })),
    ),
    facts: await Promise.all(RUNS.map((run) => reader.factsOf(run, { after: 0, limit: 10_000 }))),
    inbox: (await store.inbox(numbers)).map(({ no: _, order: __, ...message }) => message),
    approvals: await reader.approvals(page),
    nextAt: (await store.wakeDue(0, 0)).nextAt,
    load: await countsOf(reader, now),
    workers: await reader.workers(),
    unserved: await reader.unserved(),
    slots: await Promise.all(["key:", "tenant:"].map((prefix) => reader.slots({ prefix, ...page }))),
    keys: await Promise.all(
      ["t1", "t2"].flatMap((tenant) => ["k1", "k2"].map((key) => reader.byIdempotencyKey(tenant, key))),
    ),
  };
}

/** Messages are for people; what programs see of a failure is its code. */
function withoutMessages(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null, (key, value) => (key === "message" ? undefined : value)));
}

const isClaim = (name: string): boolean => name === "claim" || name === "claimLate";

/** Claims without what each store numbers by itself; their order is part of the answer. */
function withoutNumbers(name: string, answer: unknown): unknown {
  if (!isClaim(name) || answer === null) return withoutMessages(answer);
  return (answer as Claim[]).map(({ run, worker: who }) => ({ run, worker: who }));
}

/** A claim is live until a commit gives it back or is fenced. */
function sortClaims(pair: Pair, batch: readonly Commit[], answers: readonly Committed[]): void {
  for (const [index, { claim, next }] of batch.entries()) {
    const kind = answers[index]?.kind;
    if (kind === "refused" || (kind === "ok" && next.kind === "hold")) continue;
    pair.live = pair.live.filter((other) => other.token !== claim.token);
    pair.stale.push(claim);
  }
}

/** More than any sequence gives out. */
const MOST_NUMBERS = 600;
const OPERATIONS = 100;
const SEQUENCES = 30;
/** A server takes ten times as long as a file for the same questions: it gets a share of the sequences, or all when asked. */
const POSTGRES_EVERY = process.env.STORE_ALL === undefined ? 4 : 1;
/** The same every time, so that a red run is red again; another number explores elsewhere. */
const SEED = Number(process.env.STORE_SEED ?? 1);

async function openPair(path: string, url: string | null): Promise<Pair> {
  const clock = manualClock();
  const sqlite = await openSqliteStore({ path, clock, beats: "none" });
  const subject = (name: string, opened: SqliteStore | PostgresStore): Subject => ({
    name,
    under: { ...opened, beat: (id) => opened.store.beat(id) },
    claims: new Map(),
  });
  const subjects = [subject("sqlite", sqlite)];
  if (url !== null) {
    subjects.push(subject("postgres", await openPostgresStore({ url, clock, beats: "none" })));
  }
  return { clock, subjects, memory: createMemoryStore({ clock }), live: [], stale: [] };
}

/** `expect` is slow on large values that are equal: it is asked for the difference only. */
function same(ours: unknown, models: unknown): void {
  if (!isDeepStrictEqual(ours, models)) expect(ours).toEqual(models);
}

async function compareStep(pair: Pair, operation: Operation, step: number): Promise<unknown> {
  const { name, verb } = operation;
  const models = await verb(pair.memory, (claim) => claim);
  const model = {
    step,
    name,
    answer: withoutNumbers(name, models),
    ...(await snapshot(pair.memory, pair.clock.now())),
  };
  for (const { name: store, under, claims } of pair.subjects) {
    const own = (claim: Claim) => {
      const known = claims.get(claim.token);
      return known?.run === claim.run ? known : claim;
    };
    const ours = await verb(under, own);
    const answer = withoutNumbers(name, ours);
    same({ store, step, name, answer, ...(await snapshot(under, pair.clock.now())) }, { store, ...model });
    await sameRates(under.reader, pair.memory.reader, pair.clock.now());
    if (!isClaim(name) || models === null) continue;
    for (const [index, { token }] of (models as Claim[]).entries()) {
      claims.set(token, (ours as Claim[])[index] as Claim);
    }
  }
  return models;
}

async function compareSequence(pair: Pair, draw: Draw, seen: Map<string, number>): Promise<void> {
  const all = [pair.memory, ...pair.subjects.map(({ under }) => under)];
  for (const { store } of all) {
    await store.join(worker("w1"));
    await store.admit(RUNS.slice(0, 4).map((run) => admission(run)));
  }
  for (let step = 0; step < OPERATIONS; step += 1) {
    const operation = await aVerb(draw, pair);
    const { name, batch } = operation;
    const models = await compareStep(pair, operation, step);
    if (isClaim(name)) pair.live.push(...((models ?? []) as Claim[]));
    for (const { waitingFor } of await pair.memory.reader.runs({ filter: {}, after: null, limit: 100 })) {
      if (waitingFor.some((what) => what.startsWith("slot:"))) seen.set("parked", 1);
      if (waitingFor.some((what) => what.startsWith("worker:"))) seen.set("unserved", 1);
    }
    if (batch !== undefined) sortClaims(pair, batch, models as Committed[]);
    for (const outcome of outcomesOf(name, models)) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  // What is left in the queue comes out in the same order.
  for (const { store } of all) await store.join(worker("last", { labels: LABELS }));
  const drained = await Promise.all(
    all.map(({ store }) => store.claim({ worker: "last", limit: RUNS.length })),
  );
  const [models, ...ours] = drained.map((claims) => withoutNumbers("claim", claims));
  for (const answer of ours) expect(answer).toEqual(models);
}

it("SQLite, PostgreSQL and the model agree on every answer and every state", {
  timeout: 240_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-differential-"));
  const server = await startPostgres();
  const seen = new Map<string, number>();
  try {
    const url = await server.database();
    for (let sequence = 0; sequence < SEQUENCES; sequence += 1) {
      const pair = await openPair(
        join(folder, `${sequence}.db`),
        sequence % POSTGRES_EVERY === 0 ? url : null,
      );
      try {
        await compareSequence(pair, seeded(SEED * 1_000 + sequence), seen);
      } catch (error) {
        throw new Error(`STORE_SEED=${SEED}, sequence ${sequence}`, { cause: error });
      } finally {
        for (const { under } of pair.subjects) await under.close();
        if (pair.subjects.length > 1) await emptyDatabase(url);
      }
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  // A comparison that never met a refusal proves little.
  expect([...seen.keys()]).toEqual(expect.arrayContaining(EXPECTED));
});

const EXPECTED = [
  ...["created", "existing", "refused"].map((kind) => `admit ${kind}`),
  ...["ok", "fenced", "refused"].map((kind) => `commit ${kind}`),
  ...["accepted", "duplicate", "unknown_run", "run_ended"].map((kind) => `post ${kind}`),
  ...["accepted", "not_found", "already_answered", "expired"].map((kind) => `answer ${kind}`),
  "claim null",
  "claim some",
  "claimLate null",
  "claimLate some",
  "reap some",
  "wakeDue some",
  "prune some",
  "resize some",
  "refused concurrency_conflict",
  "refused queue_full",
  "refused tenant_queue_full",
  "dropped",
  "parked",
  "unserved",
];

function outcomesOf(name: string, answer: unknown): string[] {
  if (answer === null) return [`${name} null`];
  if (typeof answer === "string") return [`${name} ${answer}`];
  if (name === "resize") return (answer as number) > 0 ? ["resize some"] : [];
  if (name === "prune") return (answer as number) > 0 ? ["prune some"] : [];
  if (name === "wakeDue") return (answer as { woken: number }).woken > 0 ? ["wakeDue some"] : [];
  if (!Array.isArray(answer)) return [];
  if (isClaim(name) || name === "reap") return answer.length > 0 ? [`${name} some`] : [];
  return answer.flatMap((one) => {
    if (typeof one === "string") return [`${name} ${one}`];
    const why = one.kind === "refused" ? [`refused ${one.failure.code}`] : [];
    return [`${name} ${one.kind}`, ...why, ...(one.dropped === undefined ? [] : ["dropped"])];
  });
}
