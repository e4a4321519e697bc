import { FailureError, failure } from "../../domain/errors.ts";
import type { Reload, WorkerList } from "../../http/api.ts";
import type { Client } from "../client.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import { EXIT } from "../exit.ts";
import { commandLine } from "../here.ts";
import { reloadText } from "../serve.ts";
import { withConnection } from "../with-connection.ts";

interface Options {
  readonly worker?: string;
  readonly all?: boolean;
  readonly pid?: number;
}

const MOST_PID = 2 ** 31 - 1;

const HELP = `
Without an option it is the server of --server or of the data folder, which answers what changed. A wrong setting
changes nothing. Slots, labels, drain time, retention and log level change at once, others at the next start.`;

export function addReload({ program, act }: Cli): void {
  program
    .command("reload")
    .description("have the server, or other processes, read the settings again")
    .option("--worker <id>", "this process, as `agent-runner workers` lists it; its log says what changed")
    .option("--all", "every process of the database")
    .option("--pid <n>", "the process with this number, on this machine, by SIGHUP", wholeNumber(1, MOST_PID))
    .addHelpText("after", HELP)
    .action(act(reload));
}

async function reload({ options, common, terminal }: Call<Options>): Promise<number> {
  if (options.pid !== undefined) {
    hangUp(options.pid);
    terminal.result({ pid: options.pid }, () => `told process ${options.pid}; its output says what changed`);
    return EXIT.ok;
  }
  return withConnection(common, async ({ client, house }) => {
    if (options.worker !== undefined || options.all) {
      const told = options.worker === undefined ? await everybody(client) : [options.worker];
      for (const id of told) await client.post<object>(`/v1/workers/${encodeURIComponent(id)}/reload`, {});
      const count = told.length === 1 ? "one process" : `${told.length} processes`;
      terminal.result({ told }, () => `told ${count}; the logs say what changed`);
      return EXIT.ok;
    }
    if (house !== null) {
      const message = `no server runs on ${house.config.dataDir}; name a process with --worker (${commandLine(common)} workers lists them), or --all`;
      throw new FailureError(failure("unavailable", message));
    }
    const done = await client.post<Reload>("/v1/reload", {});
    terminal.result(done, () => reloadText({ changed: done.changed, needsRestart: done.needs_restart }));
    return EXIT.ok;
  });
}

async function everybody(client: Client): Promise<readonly string[]> {
  return (await client.get<WorkerList>("/v1/workers")).workers.map(({ id }) => id);
}

function hangUp(pid: number): void {
  if (process.platform === "win32") {
    const message = "--pid is not possible on Windows, which has no SIGHUP; use --worker or --all";
    throw new FailureError(failure("invalid_usage", message));
  }
  try {
    process.kill(pid, "SIGHUP");
  } catch (error) {
    const message = `process ${pid} cannot be told: ${(error as Error).message}`;
    throw new FailureError(failure("not_found", message));
  }
}
