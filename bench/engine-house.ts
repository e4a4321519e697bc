import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createExpressions } from "../src/adapters/expressions/cel.ts";
import { openSqliteStore, type SqliteStore } from "../src/adapters/store/sqlite/open.ts";
import { systemClock } from "../src/app/system-clock.ts";
import { newId } from "../src/base/id.ts";
import type { Action } from "../src/contracts/action.ts";
import type { RunReader, RunStore } from "../src/contracts/run-store.ts";
import type { WorkflowStore } from "../src/contracts/workflow-store.ts";
import { fail, ok } from "../src/domain/errors.ts";
import type { RunRequest } from "../src/domain/fact.ts";
import { NO_RETRY } from "../src/domain/retry.ts";
import type { Workflow } from "../src/domain/workflow.ts";
import type { EngineParts } from "../src/engine/parts.ts";
import { Worker } from "../src/engine/worker.ts";

/** The engine on a real SQLite file with nothing in its steps: what remains is what durability costs. */
export interface BenchHouse {
  sqlite: SqliteStore;
  worker: Worker;
  readonly path: string;
  bytesOnDisk(): number;
  /** The same file again after `sqlite.close()`. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

const nothing = () => {};

/** What a step of a bench does. */
export function benchAction(name: string, perform: Action["perform"]): Action {
  return { name, description: "", input: {}, output: {}, parse: (input) => ok(input), perform };
}

export function chain(steps: number, uses = "noop"): Workflow {
  return {
    name: `chain-${steps}-${uses}`,
    version: "1",
    description: "",
    hash: `chain-${steps}-${uses}`,
    inputs: {},
    outputs: {},
    maxParallel: 8,
    steps: Array.from({ length: steps }, (_, n) => ({
      id: `s${n}`,
      uses,
      with: { n },
      needs: n === 0 ? [] : [`s${n - 1}`],
      retry: NO_RETRY,
      onFailure: { kind: "fail" as const },
    })),
  };
}

/** Either database, as the engine needs it. */
export interface BenchStore {
  readonly store: RunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
}

function partsOf({ store, reader, workflows }: BenchStore, more: readonly Action[]): EngineParts {
  const noop = benchAction("noop", async (input) => input);
  const actions = new Map([noop, ...more].map((action) => [action.name, action]));
  return {
    store,
    runs: reader,
    workflows,
    artifacts: { put: async () => ({ sha256: "", bytes: 0 }), get: async () => null },
    actions: { get: (name) => actions.get(name) ?? null, list: () => [...actions.values()] },
    expressions: createExpressions(),
    live: { publish: nothing, subscribe: () => nothing },
    log: {
      debug: nothing,
      info: nothing,
      warn: nothing,
      error: (fields, message) => console.error(message, fields),
    },
    clock: systemClock,
    random: Math.random,
    hash: (text) => createHash("sha256").update(text).digest("hex"),
    defer: (run) => void setImmediate(run),
    prepareChild: async () => fail("not_found", "no children in a bench"),
  };
}

export function workerOf(
  opened: BenchStore,
  of: { readonly slots: number; readonly actions?: readonly Action[] },
): Worker {
  const id = newId("wrk", Date.now(), Math.random);
  const info = { id, host: "bench", pid: process.pid, processStart: "", slots: of.slots };
  return new Worker(partsOf(opened, of.actions ?? []), info);
}

export async function openHouse(of: {
  readonly slots: number;
  readonly actions?: readonly Action[];
}): Promise<BenchHouse> {
  const dir = mkdtempSync(join(tmpdir(), "agent-runner-bench-"));
  const path = join(dir, "bench.db");
  const sqlite = await openSqliteStore({ path, clock: systemClock });
  const house: BenchHouse = {
    sqlite,
    path,
    worker: workerOf(sqlite, of),
    bytesOnDisk: () =>
      [path, `${path}-wal`].reduce(
        (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
        0,
      ),
    reopen: async () => {
      house.sqlite = await openSqliteStore({ path, clock: systemClock });
      house.worker = workerOf(house.sqlite, of);
    },
    close: async () => {
      await house.worker.stop();
      await house.sqlite.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return house;
}

export function runRequest(workflow: Workflow): RunRequest {
  return {
    workflow: { name: workflow.name, version: workflow.version, hash: workflow.hash },
    inputs: {},
    title: "bench",
    tenant: "default",
    queue: "default",
    priority: 5,
    deadlineAt: null,
    parent: null,
  };
}

export async function save({ workflows }: Pick<BenchStore, "workflows">, workflow: Workflow): Promise<void> {
  await workflows.save({ workflow, source: "", origin: "built-in", savedAt: 0 });
}

export async function admit(
  house: BenchHouse,
  workflow: Workflow,
  count: number,
): Promise<readonly string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const batch = Array.from({ length: Math.min(200, count - ids.length) }, () => {
      const id = newId("run", Date.now(), Math.random);
      return { id, request: runRequest(workflow), idempotency: null, at: Date.now() };
    });
    const admitted = await house.sqlite.store.admit(batch);
    for (const one of admitted) if (one.kind === "created") ids.push(one.id);
  }
  return ids;
}
