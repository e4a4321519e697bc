import { randomBytes } from "node:crypto";
import { pino } from "pino";
import type { Config } from "../../app/config.ts";
import type { House } from "../../app/house.ts";
import { productVersion } from "../../app/version.ts";
import { FailureError } from "../../domain/errors.ts";
import type { HttpServer } from "../../http/server.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import { openHouse, projectOf } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { here } from "../here.ts";
import {
  addServeOptions,
  asReloaded,
  rolesText,
  type ServeOptions,
  settingsSource,
  workUntilStopped,
} from "../serve.ts";
import { noteServer, type RunningServer, refuseSecondServer } from "../server-file.ts";
import { tellDefinitions, tellProject } from "../tell-definitions.ts";

interface Options extends ServeOptions {
  readonly port?: number;
  readonly host?: string;
  readonly http?: boolean;
  /** `false` is Commander's way to say `--no-worker`. */
  readonly worker?: boolean;
  readonly services?: boolean;
}

const MOST_PORT = 65_535;

const HELP = `
A process has up to three roles: http answers requests, worker drives runs, services keeps house (timers, runs of dead
workers, retention), which one process at a time does. Name some of them to have only those; otherwise it has those of
AGENT_RUNNER_ROLES, which are all. Every database needs each role once.

It listens on loopback only: there are no accounts yet. Ctrl-C or SIGTERM drains: steps get AGENT_RUNNER_DRAIN, what
is not done by then goes on elsewhere or at the next start. A second one ends it at once, which loses nothing either.
SIGHUP, or agent-runner reload, reads the settings again.`;

export function addStart({ program, act }: Cli): void {
  addServeOptions(
    program
      .command("start")
      .description("serve the API, drive runs and keep house: all of it, or the roles that are named")
      .option("--http", "serve the API")
      .option("--worker", "drive runs")
      .option("--services", "keep house, when no other process does")
      .option("--no-worker", "only the API; workers drive the runs")
      .option("--port <n>", "0 takes a free one (default: 8000)", wholeNumber(0, MOST_PORT))
      .option("--host <address>", "127.0.0.1, ::1 or localhost (default: 127.0.0.1)"),
  )
    .addHelpText("after", HELP)
    .action(act(start));
}

async function start({ options, common, terminal }: Call<Options>): Promise<number> {
  const source = settingsSource(common, options, given(options));
  const config = await source();
  const serves = config.roles.includes("http");
  if (serves) await refuseSecondServer(config.dataDir);
  const house = await openHouse(config, here(), { settings: asReloaded(source) });
  try {
    tellProject(terminal, projectOf(here(), config.dataDir));
    tellDefinitions(terminal, house);
    if (serves) await serve({ house, config, options, terminal });
    else await work({ house, config, options, terminal });
  } finally {
    await house.close();
  }
  return EXIT.ok;
}

type Serving = Pick<Call<Options>, "options" | "terminal"> & {
  readonly house: House;
  readonly config: Config;
};

const KEY_BYTES = 24;

async function serve({ house, config, options, terminal }: Serving): Promise<void> {
  const { createHttpServer } = await import("../../http/server.ts");
  const logger = pino({ level: config.logLevel, base: null }, pino.destination(2));
  const { trustIdentityHeaders } = config;
  const version = productVersion();
  const key = randomBytes(KEY_BYTES).toString("base64url");
  const server = createHttpServer({ ...house.operations, logger, version, trustIdentityHeaders, key });
  try {
    const { note, withdraw } = await open({ server, config, house, key });
    const { key: _, ...told } = note;
    const state = { ...told, data: config.dataDir, roles: config.roles };
    await workUntilStopped({
      house,
      terminal,
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
}

async function work({ house, config, options, terminal }: Serving): Promise<void> {
  await house.start();
  const state = { data: config.dataDir, pid: process.pid, slots: config.slots, roles: config.roles };
  const announce = () => terminal.result(state, () => `${rolesText(config.roles)} on ${config.dataDir}`);
  await workUntilStopped({ house, terminal, options, announce, close: async () => {} });
}

function given({ port, host, http, worker, services }: Options): Readonly<Record<string, string>> {
  const named = Object.entries({ http, worker, services }).filter(([, asked]) => asked === true);
  const roles = worker === false ? ["http"] : named.map(([role]) => role);
  return {
    ...(port === undefined ? {} : { AGENT_RUNNER_PORT: String(port) }),
    ...(host === undefined ? {} : { AGENT_RUNNER_HOST: host }),
    ...(roles.length === 0 ? {} : { AGENT_RUNNER_ROLES: roles.join(",") }),
  };
}

/** Listens, notes where, begins to work; resolves to what takes the note away. */
async function open(of: {
  readonly server: HttpServer;
  readonly config: Config;
  readonly house: House;
  readonly key: string;
}): Promise<{ readonly note: RunningServer; readonly withdraw: () => Promise<void> }> {
  const { server, config, house, key } = of;
  const listening = await server.listen({ host: config.host, port: config.port });
  if (!listening.ok) throw new FailureError(listening.failure);
  const { url } = listening.value;
  const note = { url, pid: process.pid, started_at: new Date().toISOString(), key };
  const withdraw = await noteServer(config.dataDir, note);
  try {
    await house.start();
  } catch (error) {
    await withdraw();
    throw error;
  }
  return { note, withdraw };
}
