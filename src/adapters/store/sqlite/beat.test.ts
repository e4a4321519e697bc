import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../../tests/support/until.ts";
import type { StoreHint } from "../../../contracts/run-store.ts";
import {
  admission,
  commit,
  facts,
  started,
  worker,
} from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { isProcessGone } from "../sql/process.ts";
import { openSqliteStore, processStart, type SqliteStore } from "./open.ts";

const clock = { now: () => Date.now(), after: () => () => undefined };
const me = worker("w", { host: hostname(), pid: process.pid, processStart: processStart(process.pid) });

const LOOK_EVERY_MS = 5;
/** However slow the machine is: nothing here is quicker for being measured. */
const STILL_MS = 30_000;
/** Of a test that wants to see a worker given up: longer than a loaded machine keeps a thread waiting by itself. */
const STALL_MS = 2_000;

/** Keeps the event loop from turning, as a defect or a huge computation would, until something is to be seen. */
function standStillUntil(seen: () => boolean): void {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  const end = performance.now() + STILL_MS;
  while (!seen()) {
    if (performance.now() > end) throw new Error(`not within ${STILL_MS} ms`);
    Atomics.wait(nothing, 0, 0, LOOK_EVERY_MS);
  }
}

describe("the beat of a worker", () => {
  let folder: string;
  let path: string;
  let opened: SqliteStore;
  let hints: StoreHint[];

  const open = async (stallMs: number): Promise<void> => {
    opened = await openSqliteStore({ path, clock, beatMs: 40, stallNoticeMs: 120, stallMs });
    opened.store.watch((hint) => hints.push(hint));
  };
  const row = () => {
    const sql = new DatabaseSync(path, { readOnly: true });
    const found = sql.prepare("SELECT beat_at, stalled_at FROM worker").get();
    sql.close();
    return found as { beat_at: number; stalled_at: number | null } | undefined;
  };
  const hinted = (kind: StoreHint["kind"]) =>
    until(`a ${kind} hint`, () => hints.find((hint) => hint.kind === kind) ?? null);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "agent-runner-beat-"));
    path = join(folder, "runs.db");
    hints = [];
  });
  afterEach(async () => {
    await opened.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("goes on while the event loop stands still, and the stall is told of", async () => {
    await open(60_000);
    await opened.store.join(me);
    await opened.store.admit([admission("run_1")]);
    const [claim] = (await opened.store.claim({ worker: "w", limit: 1 })) ?? [];
    const first = row()?.beat_at ?? 0;
    await until("a beat", () => ((row()?.beat_at ?? 0) > first ? true : null));
    const before = Date.now();
    standStillUntil(() => (row()?.beat_at ?? 0) > before && row()?.stalled_at != null);
    const stalled = await hinted("stalled");
    expect(stalled).toMatchObject({ worker: "w", ms: expect.any(Number) });
    const entry = commit(claim!, { facts: facts(2, [started("a")]) });
    expect(await opened.store.commit([entry])).toEqual([{ kind: "ok" }]);
  });

  it("gives the worker up when the loop stands still for too long, and the worker learns it", async () => {
    await open(STALL_MS);
    await opened.store.join(me);
    await opened.store.admit([admission("run_1")]);
    const [claim] = (await opened.store.claim({ worker: "w", limit: 1 })) ?? [];
    standStillUntil(() => row() === undefined);
    expect(await opened.store.commit([commit(claim!, { facts: facts(2, [started("a")]) })])).toEqual([
      { kind: "fenced" },
    ]);
    expect(await opened.store.claim({ worker: "w", limit: 1 })).toBeNull();
    expect(await hinted("lost")).toEqual({ kind: "lost", worker: "w" });
    await opened.store.join(me);
    expect(await opened.store.claim({ worker: "w", limit: 1 })).toMatchObject([{ run: "run_1" }]);
  });

  it("tells a worker that others took it for dead", async () => {
    await open(60_000);
    await opened.store.join(me);
    const other = await openSqliteStore({ path, clock });
    await other.store.reap(Date.now() + 3_600_000);
    await other.close();
    expect(await hinted("lost")).toEqual({ kind: "lost", worker: "w" });
  });

  it("ends when the worker leaves", async () => {
    await open(60_000);
    await opened.store.join(me);
    await opened.store.leave("w");
    expect(row()).toBeUndefined();
    expect(await opened.store.claim({ worker: "w", limit: 1 })).toBeNull();
  });
});

describe("a process", () => {
  it("that lives is not gone, and a reused pid is", () => {
    const start = processStart(process.pid);
    expect(isProcessGone(process.pid, start)).toBe(false);
    expect(isProcessGone(process.pid, "")).toBe(false);
    expect(processStart(0x7fff_fff0)).toBe("");
    expect(isProcessGone(0x7fff_fff0, "")).toBe(true);
  });

  it.runIf(process.platform === "linux")("is told apart from a later one with its pid", () => {
    expect(processStart(process.pid)).toMatch(/^\d+$/);
    expect(isProcessGone(process.pid, "1")).toBe(true);
  });
});
