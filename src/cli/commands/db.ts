import type { Command } from "commander";
import type { CopyReport, DatabaseStatus, Place } from "../../app/moving.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Call, Cli } from "../command.ts";
import { configOf, quietly } from "../connect.ts";
import { copyProgress } from "../copy-progress.ts";
import { EXIT } from "../exit.ts";
import { absolute } from "../here.ts";
import { runningServer } from "../server-file.ts";
import { type Terminal, table } from "../terminal.ts";
import { bytesText, localTime, plural } from "../text.ts";

interface BackupOptions {
  readonly out: string;
  readonly dump?: boolean;
  readonly artifacts?: boolean;
}

interface RestoreOptions {
  readonly to?: string;
  readonly artifacts?: boolean;
}

interface CopyOptions {
  readonly from: string;
  readonly to: string;
  readonly live?: boolean;
}

const COPY_HELP = `
An interrupted copy goes on where it stopped when the same command is given again. Until all rows are compared, nobody
can open the target. A source that somebody works on is refused: with --live the copy is of this one moment, what
happens afterwards is missing in it, and runs that are under way would be carried on in both places if workers were
started on the copy while those of the source go on.

  agent-runner db copy --from sqlite:/var/lib/agent-runner/agent-runner.db --to postgres://user@host/agent_runner
  agent-runner db copy --from postgres://user@host/agent_runner --to sqlite:/tmp/copy.db`;

const moving = () => import("../../app/moving.ts");

export function addDb({ program, act }: Cli): void {
  const db: Command = program
    .command("db")
    .description("the database: its state, its schema, backups, and moving to another one");
  db.command("status")
    .description("where the data is, its schema, its size, what is in it and who works on it")
    .action(act(status));
  db.command("migrate")
    .description(
      "bring the schema to this version, where AGENT_RUNNER_MIGRATE=off keeps a start from doing it",
    )
    .action(act(migrate));
  db.command("backup")
    .description("a copy of this moment in one file, while others go on working, with its checksum beside it")
    .requiredOption("--out <file>", "a file that does not exist yet")
    .option("--dump", "of a SQLite file too: a dump that either database can be restored from")
    .option("--artifacts", "the artifacts too, in a folder beside the file")
    .action(act(backup));
  db.command("restore <file>")
    .description("put a backup into an empty database, whichever kind each is of")
    .option("--to <database>", "sqlite:PATH or postgres://…; otherwise the one that is configured")
    .option("--artifacts", "the artifacts too, from the folder beside the file")
    .action(act(restore));
  db.command("copy")
    .description("copy everything to another database and compare it row by row")
    .requiredOption("--from <database>", "sqlite:PATH, postgres://… or dump:PATH")
    .requiredOption("--to <database>", "sqlite:PATH or postgres://…: empty, or half of this copy")
    .option("--live", "copy although somebody works on the source")
    .addHelpText("after", COPY_HELP)
    .action(act(copy));
}

async function status({ common, terminal }: Call<object>): Promise<number> {
  const config = configOf(common, quietly());
  const found = await (await moving()).databaseStatus(config);
  const server = await runningServer(config.dataDir);
  const users = [...found.users, ...(server === null ? [] : [`server ${server.url} (pid ${server.pid})`])];
  const { kind, address, version, schema, newest, pending, details } = found;
  const wire = {
    kind,
    address,
    version,
    schema: schema === null ? null : { version: schema.version, min_compatible: schema.compatible },
    newest_schema: newest,
    pending_migrations: pending,
    half_done_copy: schema?.unfinished ?? false,
    bytes: details?.bytes ?? null,
    runs: details?.runs ?? null,
    facts: details?.facts ?? null,
    oldest_open_run:
      details?.oldestOpen == null
        ? null
        : { id: details.oldestOpen.id, created_at: new Date(details.oldestOpen.created_at).toISOString() },
    users,
  };
  terminal.result(wire, () => statusText({ ...found, users }));
  return EXIT.ok;
}

function statusText(found: DatabaseStatus): string {
  const { schema, newest, pending, details, users } = found;
  const version = schema === null || schema.version === 0 ? "none yet" : String(schema.version);
  const plan =
    pending.length === 0 ? "" : `; ${plural(pending.length, "migration")} to apply: ${pending.join(", ")}`;
  const rows = [
    ["database", `${found.kind === "sqlite" ? "SQLite" : "PostgreSQL"} ${found.version}`],
    ["address", found.address],
    ["schema", `${version}, this agent-runner makes ${newest}${plan}`],
  ];
  if (schema?.unfinished) rows.push(["copy", "half done: give the same `db copy` again"]);
  if (details !== null) {
    const runs = Object.entries(details.runs).map(([name, count]) => `${count} ${name}`);
    const { oldestOpen } = details;
    rows.push(["size", bytesText(details.bytes)], ["runs", runs.length === 0 ? "none" : runs.join(", ")]);
    rows.push(["facts", String(details.facts)]);
    if (oldestOpen !== null) {
      const since = localTime(new Date(oldestOpen.created_at).toISOString());
      rows.push(["oldest open run", `${oldestOpen.id}, since ${since}`]);
    }
  }
  rows.push(["in use by", users.length === 0 ? "nobody" : users.join(", ")]);
  return table(rows);
}

async function migrate({ common, terminal }: Call<object>): Promise<number> {
  const { from, to } = await (await moving()).migrateDatabase(configOf(common, quietly()));
  terminal.result({ from, to }, () =>
    from === to
      ? `The schema is at version ${to} already.`
      : `The schema went from version ${from} to ${to}.`,
  );
  return EXIT.ok;
}

async function backup({ common, terminal, options }: Call<BackupOptions>): Promise<number> {
  const config = configOf(common, quietly());
  const done = await (await moving()).backUpDatabase(config, {
    file: absolute(options.out),
    dump: options.dump === true,
    artifacts: options.artifacts === true,
  });
  const { file, kind, bytes, sha256, digest, artifacts } = done;
  terminal.result(
    { file, kind, bytes, sha256, rows: digest.rows, content_sha256: digest.sha256, artifacts },
    () =>
      table([
        ["backup", `${file} (${kind}, ${bytesText(bytes)})`],
        ["sha256", sha256],
        ["content", `${plural(digest.rows, "row")}, ${digest.sha256}`],
        ["artifacts", artifacts ?? `not included (--artifacts includes them): ${config.dataDir}`],
      ]),
  );
  return EXIT.ok;
}

async function restore({ common, terminal, options }: Call<RestoreOptions>, file: string): Promise<number> {
  const config = configOf(common, quietly());
  const { configuredPlace, parsePlace, restoreDatabase } = await moving();
  const to = options.to === undefined ? configuredPlace(config) : place(parsePlace, options.to, "--to");
  const progress = copyProgress(terminal);
  try {
    const report = await restoreDatabase(config, {
      file: absolute(file),
      to,
      artifacts: options.artifacts === true,
      onStep: progress.step,
    });
    progress.close();
    tellCopy(terminal, report);
  } finally {
    progress.close();
  }
  return EXIT.ok;
}

async function copy({ terminal, options }: Call<CopyOptions>): Promise<number> {
  const { copyDatabase, parsePlace } = await moving();
  const from = place(parsePlace, options.from, "--from");
  const to = place(parsePlace, options.to, "--to");
  if (!options.live) for (const one of [from, to]) await refuseServed(one);
  const progress = copyProgress(terminal);
  try {
    const report = await copyDatabase({ from, to, live: options.live === true, onStep: progress.step });
    progress.close();
    tellCopy(terminal, report);
  } finally {
    progress.close();
  }
  return EXIT.ok;
}

/** Paths are from where the command was typed. */
function place(parse: (text: string, option: string) => Place, text: string, option: string): Place {
  const [, kind, path] = /^(sqlite|dump):(.+)$/.exec(text) ?? [];
  return parse(path === undefined ? text : `${kind}:${absolute(path)}`, option);
}

/** A server without a worker is in no table: its note in the data folder tells of it. */
async function refuseServed(one: Place): Promise<void> {
  if (one.kind !== "sqlite") return;
  const { dirname } = await import("node:path");
  const server = await runningServer(dirname(one.path));
  if (server === null) return;
  const message = `sqlite:${one.path} is in use by the server ${server.url} (pid ${server.pid})`;
  throw new FailureError(failure("store_in_use", message));
}

function tellCopy(terminal: Terminal, report: CopyReport): void {
  const { source, target, digest, resumedAt } = report;
  const tables = digest.tables.map((one) => ({ table: one.table, rows: one.rows, sha256: one.sha256 }));
  terminal.result(
    { source, target, resumed_at: resumedAt, rows: digest.rows, sha256: digest.sha256, tables },
    () => {
      const rows = tables.map((one) => [one.table, String(one.rows), one.sha256]);
      const whole = ["all", String(digest.rows), digest.sha256];
      const head = `${source} is in ${target}, compared row by row: all are the same.`;
      return `${head}\n\n${table([["TABLE", "ROWS", "SHA-256"], ...rows, whole])}`;
    },
  );
}
