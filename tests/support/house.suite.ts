import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtInActions, TOOL_NAMES } from "../../src/adapters/definitions/built-in.suite.ts";
import { createCalendar } from "../../src/adapters/definitions/calendar.ts";
import { createDefinitions } from "../../src/adapters/definitions/definitions.ts";
import { checkInputs } from "../../src/adapters/definitions/inputs.ts";
import { createExpressions } from "../../src/adapters/expressions/cel.ts";
import { createLive } from "../../src/adapters/live/in-process.ts";
import { createPrometheus } from "../../src/adapters/metrics/prometheus.ts";
import { createMemoryRates } from "../../src/adapters/store/memory/rates.ts";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import type { Clock } from "../../src/base/clock.ts";
import { newId } from "../../src/base/id.ts";
import type { ArtifactStore } from "../../src/contracts/artifact-store.ts";
import type { Live } from "../../src/contracts/live.ts";
import type { Claim, Commit, QueueLoad, RunReader, RunStore } from "../../src/contracts/run-store.ts";
import { commit, worker } from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { type AdmissionRules, DEFAULT_RULES } from "../../src/domain/admission-rules.ts";
import type { AgentSpec } from "../../src/domain/agent.ts";
import type { Artifact } from "../../src/domain/artifact.ts";
import { NO_BUDGETS } from "../../src/domain/budget.ts";
import type { FactBody } from "../../src/domain/fact.ts";
import { Desk, type DeskEvent } from "../../src/operations/admission/desk.ts";
import type { Parts, Probe } from "../../src/operations/parts.ts";

const USED = {
  state: "open",
  detail: "next probe in 5.0s",
  ttftMs: 420,
  ttftP95Ms: 900,
  gapMs: null,
  errorRate: 0.5,
  inFlight: 1,
  concurrencyLimit: 8,
  samples: 12,
  from: "wrk_other",
} as const;

export const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, wake) {
    const timer = setTimeout(wake, ms);
    return () => clearTimeout(timer);
  },
};

export const GREET = `name: greet
version: 1
description: Greets somebody.
inputs:
  who: { type: string, required: true }
  times: { type: integer, default: 1 }
steps:
  - id: prepare
    uses: noop
  - id: speak
    uses: noop
    needs: prepare
`;

export const AGENT: AgentSpec = {
  name: "bug_fix",
  description: "Mends what is broken.",
  model: { stage: "execute", maxOutputTokens: 4_096 },
  tools: ["read", "edit"],
  limits: {
    turns: 10,
    tokens: 1_000,
    wallTimeMs: 1_000,
    repairRounds: 1,
    contextTokens: 0,
    compactAtTokens: 1,
  },
  validation: { gates: true, mayChangeNothing: false },
  prompt: "Mend it.",
  hash: "0".repeat(64),
};

/** The operations' parts over a real store, with a hand that does a worker's writing. */
export interface House {
  readonly parts: Parts;
  readonly store: RunStore;
  readonly live: Live;
  readonly artifacts: ArtifactStore & { readonly kept: Map<string, Uint8Array> };
  readonly probes: Probe[];
  /** What the desk turned away so far. */
  readonly events: DeskEvent[];
  /** Exchange `current` to change the rules. */
  readonly rules: { current: AdmissionRules };
  readonly sqlite: SqliteStore;
  /** Claims the run as a worker would. */
  take(run: string): Promise<Hand>;
  close(): Promise<void>;
}

export interface Hand {
  readonly claim: Claim;
  /** Writes facts as the next of the run, and what else the commit says. */
  write(bodies: readonly FactBody[], more?: Partial<Commit>): Promise<void>;
  /** Writes `run_completed` and ends the run. */
  complete(output?: string): Promise<void>;
  save(name: string, content: string, more?: Partial<Artifact>): Promise<Artifact>;
}

export async function openHouse(
  clock: Clock = systemClock,
  seen: (real: QueueLoad) => QueueLoad = (real) => real,
): Promise<House> {
  const folder = await mkdtemp(join(tmpdir(), "house-"));
  const sqlite = await openSqliteStore({ path: join(folder, "test.db"), clock, beats: "thread" });
  const { store, workflows, schedules } = sqlite;
  const reader: RunReader = { ...sqlite.reader, load: async (now) => seen(await sqlite.reader.load(now)) };
  const live = createLive();
  const kept = new Map<string, Uint8Array>();
  const artifacts: House["artifacts"] = {
    kept,
    async put(content) {
      const bytes = Buffer.from(content);
      const hash = sha256(bytes);
      kept.set(hash, bytes);
      return { sha256: hash, bytes: bytes.length };
    },
    async get(hash) {
      const content = kept.get(hash);
      if (content && sha256(content) !== hash) throw new Error("the content does not match its hash");
      return content ?? null;
    },
  };
  const probes: Probe[] = [];
  const metrics = createPrometheus();
  const rules: House["rules"] = { current: DEFAULT_RULES };
  const parts: Parts = {
    clock,
    newId: (prefix) => newId(prefix, clock.now(), Math.random),
    hash: sha256,
    store,
    reader,
    workflows,
    schedules,
    calendar: createCalendar(),
    artifacts,
    definitions: createDefinitions({
      actions: builtInActions(),
      expressions: createExpressions(),
      toolNames: TOOL_NAMES,
    }),
    checkInputs,
    expressions: createExpressions(),
    agents: async () => [AGENT],
    gateway: {
      providers: async () => [
        {
          name: "scripted",
          health: { status: "ok", detail: "ready" },
          models: ["one"],
          isDefault: true,
          live: [{ model: "one", ...USED }],
        },
      ],
      models: () => [
        {
          provider: "scripted",
          model: "one",
          available: true,
          stages: ["plan"],
          tools: true,
          json: true,
          contextTokens: null,
          quality: 2,
          price: { input: 1, cacheRead: 2, cacheWrite: 3, output: 4 },
          health: USED,
        },
      ],
    },
    live,
    spend: { ledger: sqlite.spend, settings: () => NO_BUDGETS },
    fleet: sqlite.fleet,
    leaders: sqlite.leaders,
    probes,
    metrics,
    desk: new Desk({
      clock,
      reader,
      metrics,
      rates: createMemoryRates(clock),
      rules: () => rules.current,
    }),
  };
  const events: DeskEvent[] = [];
  parts.desk.watch((event) => events.push(event));
  const greet = parts.definitions.parseWorkflow(GREET, "greet.yaml");
  if (!greet.ok) throw new Error(JSON.stringify(greet.diagnostics));
  await workflows.save({ workflow: greet.value, source: GREET, origin: "built-in", savedAt: clock.now() });

  return {
    parts,
    events,
    rules,
    store,
    live,
    artifacts,
    probes,
    sqlite,
    take: (run) => take(run, { store, artifacts, clock }),
    async close() {
      await sqlite.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function take(
  run: string,
  { store, artifacts, clock }: { store: RunStore; artifacts: ArtifactStore; clock: Clock },
): Promise<Hand> {
  const name = `worker-of-${run}`;
  await store.join(worker(name, { host: "elsewhere", slots: 100 }));
  const claims = await store.claim({ worker: name, limit: 100 });
  const claim = (claims ?? []).find((one) => one.run === run);
  if (!claim) throw new Error(`${run} cannot be claimed`);
  let seq = (await store.facts(claim.no, 0, 100_000)).length;
  const write: Hand["write"] = async (bodies, more = {}) => {
    const facts = bodies.map((body) => {
      seq += 1;
      return { ...body, seq, at: clock.now() };
    });
    const started = bodies.some((body) => body.kind === "run_started");
    const [done] = await store.commit([commit(claim, { facts, started, ...more })]);
    if (done?.kind !== "ok") throw new Error(JSON.stringify(done));
  };
  return {
    claim,
    write,
    complete: (output = "done") =>
      write([{ kind: "run_completed", output }], {
        next: { kind: "end", status: "completed", output, failure: null },
      }),
    async save(id, content, more = {}) {
      const { sha256: hash, bytes } = await artifacts.put(content);
      const artifact: Artifact = {
        id,
        name: id,
        kind: "report",
        mediaType: "text/plain",
        bytes,
        sha256: hash,
        ...more,
      };
      await write([{ kind: "artifact_saved", step: "speak", artifact }]);
      return artifact;
    },
  };
}
