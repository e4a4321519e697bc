import { type CommonOptions, type Connection, type ConnectOptions, connect } from "./connect.ts";
import { commandLine } from "./here.ts";
import type { Terminal } from "./terminal.ts";

/** Connects, does, and lets go, whatever happens. */
export async function withConnection<T>(
  common: CommonOptions,
  use: (connection: Connection) => Promise<T>,
  of: ConnectOptions = {},
): Promise<T> {
  const connection = await connect(common, of);
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** What was stored is acted upon by whoever drives runs; says so when that is nobody. */
export async function hintNobodyWorks(
  { house }: Connection,
  terminal: Terminal,
  common: CommonOptions,
): Promise<void> {
  if (house === null || (await house.operations.reader.counts()).workers > 0) return;
  terminal.say(
    `Stored. Nobody works on ${house.config.dataDir} now: ${commandLine(common)} start (or worker) does.`,
  );
}
