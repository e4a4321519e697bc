import { pino } from "pino";
import type { Config } from "../../app/config.ts";
import type { House } from "../../app/house.ts";
import { productVersion } from "../../app/version.ts";
import { FailureError } from "../../domain/errors.ts";
import type { HttpServer } from "../../http/server.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import { configOf, openHouse, projectOf } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { here } from "../here.ts";
import { type ServeOptions, workUntilStopped } from "../serve.ts";
import { noteServer, type RunningServer, refuseSecondServer } from "../server-file.ts";
import { readSettings } from "../settings-file.ts";
import { tellDefinitions, tellProject } from "../tell-definitions.ts";
import { MOST_SLOTS } from "./worker.ts";

interface Options extends ServeOptions {
  readonly port?: number;
  readonly host?: string;
  /** Commander's way to say `--no-worker`. */
  readonly worker: boolean;
}

const MOST_PORT = 65_535;

const HELP = `
It listens on loopback only: there are no accounts yet. Ctrl-C or SIGTERM drains: steps get AGENT_RUNNER_DRAIN, what
is not done by then goes on at the next start. A second one ends it at once, which loses nothing either.`;

export function addStart({ program, act }: Cli): void {
  program
    .command("start")
    .description("serve the API and drive runs")
    .option("--port <n>", "0 takes a free one (default: 8000)", wholeNumber(0, MOST_PORT))
    .option("--host <address>", "127.0.0.1, ::1 or localhost (default: 127.0.0.1)")
    .option("--slots <n>", "runs driven at the same time", wholeNumber(1, MOST_SLOTS))
    .option("--no-worker", "only the API; workers drive the runs")
    .option("--env-file <file>", "settings as NAME=value lines; SIGHUP reads AGENT_RUNNER_SLOTS of it again")
    .addHelpText("after", HELP)
    .action(act(start));
}

async function start({ options, common, terminal }: Call<Options>): Promise<number> {
  const config = configOf(common, { ...(await readSettings(options.envFile)), ...given(options) });
  await refuseSecondServer(config.dataDir);
  const house = await openHouse(config, here());
  try {
    tellProject(terminal, projectOf(here(), config.dataDir));
    tellDefinitions(terminal, house);
    const { createHttpServer } = await import("../../http/server.ts");
    const logger = pino({ level: config.logLevel, base: null }, pino.destination(2));
    const server = createHttpServer({
      ...house.operations,
      logger,
      version: productVersion(),
      trustIdentityHeaders: config.trustIdentityHeaders,
    });
    try {
      const { note, withdraw } = await open({ server, config, house, work: options.worker });
      const state = { ...note, data: config.dataDir };
      await workUntilStopped({
        house,
        terminal,
        common,
        options,
        announce: () =>
          terminal.result(
            state,
            () => `agent-runner ${productVersion()} on ${note.url}, data in ${config.dataDir}`,
          ),
        close: () => server.close().then(withdraw),
      });
    } finally {
      await server.close();
    }
  } finally {
    await house.close();
  }
  return EXIT.ok;
}

function given({ port, host, slots }: Options): Readonly<Record<string, string>> {
  return {
    ...(port === undefined ? {} : { AGENT_RUNNER_PORT: String(port) }),
    ...(host === undefined ? {} : { AGENT_RUNNER_HOST: host }),
    ...(slots === undefined ? {} : { AGENT_RUNNER_SLOTS: String(slots) }),
  };
}

/** Listens, notes where, begins to work; resolves to what takes the note away. */
async function open(of: {
  readonly server: HttpServer;
  readonly config: Config;
  readonly house: House;
  readonly work: boolean;
}): Promise<{ readonly note: RunningServer; readonly withdraw: () => Promise<void> }> {
  const { server, config, house } = of;
  const listening = await server.listen({ host: config.host, port: config.port });
  if (!listening.ok) throw new FailureError(listening.failure);
  const { url } = listening.value;
  const note = { url, pid: process.pid, started_at: new Date().toISOString() };
  const withdraw = await noteServer(config.dataDir, note);
  try {
    if (of.work) await house.start();
  } catch (error) {
    await withdraw();
    throw error;
  }
  return { note, withdraw };
}
