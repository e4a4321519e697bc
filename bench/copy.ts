// Moving house: node bench/copy.ts [--runs 100000] [--url postgres://…]   (or npm run bench -- copy)
// Fills a SQLite file, copies it to PostgreSQL and from there to another file; each copy is killed halfway as by
// kill -9 and given again. Equal by hash, or it fails. Without an address it starts a server of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openSqliteStore } from "../src/adapters/store/sqlite/open.ts";
import { copyDatabase, parsePlace } from "../src/app/moving.ts";
import { fillStore } from "../tests/support/many-runs.ts";
import { startPostgres } from "../tests/support/postgres.ts";

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "100000" },
    url: { type: "string" },
    // Within one of its own processes: what to copy, and at which share of the rows to die.
    from: { type: "string" },
    to: { type: "string" },
    die: { type: "string", default: "2" },
  },
});

interface Copied {
  readonly ms: number;
  readonly rows: number;
  readonly sha256: string;
  readonly resumedAt: number;
  readonly copyMs: number;
  readonly peakMb: number;
}

/** One copy in this process. */
async function copyHere(from: string, to: string, dieAt: number): Promise<void> {
  const started = performance.now();
  let copyMs = 0;
  const report = await copyDatabase({
    from: parsePlace(from, "--from"),
    to: parsePlace(to, "--to"),
    live: false,
    onStep: ({ phase, rows, total }) => {
      if (phase === "copy") copyMs = performance.now() - started;
      if (phase === "copy" && rows >= total * dieAt) process.kill(process.pid, "SIGKILL");
    },
  });
  const copied: Copied = {
    ms: performance.now() - started,
    rows: report.digest.rows,
    sha256: report.digest.sha256,
    resumedAt: report.resumedAt,
    copyMs,
    peakMb: process.resourceUsage().maxRSS / 1_024,
  };
  console.log(JSON.stringify(copied));
}

/** One copy in a process of its own; `null` when it was killed. */
async function copyThere(from: string, to: string, dieAt: number): Promise<Copied | null> {
  const args = ["--from", from, "--to", to, "--die", String(dieAt)];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  if (signal === "SIGKILL") return null;
  if (code !== 0) throw new Error(`the copy ended with ${code}`);
  return JSON.parse(out) as Copied;
}

async function interrupted(name: string, from: string, to: string): Promise<Copied> {
  const before = performance.now();
  if ((await copyThere(from, to, 0.5)) !== null) throw new Error("the copy was not interrupted");
  const killedAfter = performance.now() - before;
  const done = await copyThere(from, to, 2);
  if (done === null) throw new Error("the copy was killed");
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  const rest = done.rows - done.resumedAt;
  const rate = (rows: number, ms: number) => `${Math.round((rows * 1_000) / ms).toLocaleString("en")} rows/s`;
  console.log(`${name}: ${done.rows.toLocaleString("en")} rows
  killed after ${seconds(killedAfter)}, went on at row ${done.resumedAt.toLocaleString("en")}
  the rest copied in ${seconds(done.copyMs)} (${rate(rest, done.copyMs)}), all compared in ${seconds(done.ms - done.copyMs)} (${rate(done.rows, done.ms - done.copyMs)})
  peak of memory ${Math.round(done.peakMb)} MB, sha256 ${done.sha256}`);
  return done;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-copy-"));
  const server = values.url === undefined ? await startPostgres({ fast: false }) : null;
  try {
    const url = values.url ?? (await server?.database()) ?? "";
    const [first, last] = [join(folder, "first.db"), join(folder, "last.db")];
    const clock = { now: () => 1_700_000_000_000, after: () => () => undefined };
    const opened = await openSqliteStore({ path: first, clock, beats: "none" });
    const before = performance.now();
    await fillStore(opened.store, Number(values.runs));
    await opened.close();
    const size = (statSync(first).size / 1_048_576).toFixed(0);
    console.log(
      `${values.runs} runs made in ${((performance.now() - before) / 1_000).toFixed(1)} s, ${size} MB`,
    );
    const there = await interrupted("SQLite → PostgreSQL", `sqlite:${first}`, url);
    const back = await interrupted("PostgreSQL → SQLite", url, `sqlite:${last}`);
    const again = await copyThere(`sqlite:${first}`, `sqlite:${join(folder, "again.db")}`, 2);
    if (there.sha256 !== back.sha256 || again?.sha256 !== back.sha256) throw new Error("the hashes differ");
    console.log("equal by hash: the first file, PostgreSQL and the last file");
  } finally {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.from !== undefined && values.to !== undefined) {
  await copyHere(values.from, values.to, Number(values.die));
} else await main();
