import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import type { StoreHint } from "../../src/contracts/run-store.ts";
import { admission, held } from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { until } from "../support/until.ts";

const clock = { now: () => Date.now(), after: () => () => undefined };
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const KILLS = 5;

describe("several processes on one file", () => {
  let folder: string;
  let path: string;
  let opened: SqliteStore;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "agent-runner-processes-"));
    path = join(folder, "runs.db");
    opened = await openSqliteStore({ path, clock, beats: "none" });
  });
  afterEach(async () => {
    await opened.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts a process that commits without end, and collects what it printed. */
  function startCommitter(): { readonly child: ChildProcess; readonly lines: string[] } {
    const child = spawn(process.execPath, [script("claim-and-die.ts"), path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines: string[] = [];
    let rest = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
    });
    return { child, lines };
  }

  it("a killed process loses its runs at once and none of its answered commits", {
    timeout: 60_000,
  }, async () => {
    const runs = ["run_1", "run_2", "run_3"];
    await opened.store.admit(runs.map((run) => admission(run)));
    for (let kill = 0; kill < KILLS; kill += 1) {
      const { child, lines } = startCommitter();
      await until("some commits", () => (lines.length > 5 + kill * 7 ? true : null), 20_000);
      const closed = once(child, "close");
      child.kill("SIGKILL");
      await closed;
      expect(lines[0]).toBe("claimed 3");
      // Its process is gone: nobody waits for the lease to run out.
      expect([...(await opened.store.reap(Date.now()))].sort()).toEqual(runs);
      const answered = new Map(
        (lines.at(-1) ?? "").split(" ").map((pair) => pair.split("=") as [string, string]),
      );
      for (const run of runs) {
        const facts = (await opened.reader.factsOf(run, { after: 0, limit: 1_000_000 })) ?? [];
        expect(facts.map((fact) => fact.seq)).toEqual(facts.map((_, index) => index + 1));
        expect(facts.length).toBeGreaterThanOrEqual(Number(answered.get(run)));
        // Two facts an entry, all or nothing, after the first one.
        expect(facts.length % 2).toBe(1);
      }
    }
    const sql = new DatabaseSync(path, { readOnly: true });
    expect(sql.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    sql.close();
  });

  it("what another process writes wakes this one", async () => {
    const hints: StoreHint[] = [];
    opened.store.watch((hint) => hints.push(hint));
    await held(opened.store);
    hints.length = 0;
    execFileSync(process.execPath, [script("post-and-exit.ts"), path]);
    const told = (kind: string, run: string) =>
      until(
        `${kind} of ${run}`,
        () => hints.find((hint) => hint.kind === kind && "run" in hint && hint.run === run) ?? null,
      );
    await told("inbox", "run_1");
    await told("facts", "run_from_outside");
    expect(hints).toContainEqual({ kind: "ready" });
    expect(await opened.store.claim({ worker: "w", limit: 5 })).toMatchObject([{ run: "run_from_outside" }]);
  });
});
