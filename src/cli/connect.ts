import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import type { ComposeOptions } from "../app/compose.ts";
import { type Config, NO_STAGE_MODELS, readConfig } from "../app/config.ts";
import type { House } from "../app/house.ts";
import type { Role } from "../contracts/fleet.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { Client, type Transport, wire } from "./client.ts";
import { absolute, here } from "./here.ts";
import { runningServer } from "./server-file.ts";

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly data?: string;
  readonly server?: string;
  readonly model?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

export function configOf(options: CommonOptions, more: Env = {}): Config {
  const env = {
    ...process.env,
    ...(options.data === undefined ? {} : { AGENT_RUNNER_DATA: absolute(options.data) }),
    ...(options.model === undefined ? {} : { ...NO_STAGE_MODELS, AGENT_RUNNER_MODEL: options.model }),
    ...more,
  };
  const config = readConfig(env);
  if (!config.ok) throw new FailureError(config.failure);
  return config.value;
}

/** Commands speak for themselves: of the engine they let only warnings be heard, unless asked for more. */
export function quietly(): Env {
  return { AGENT_RUNNER_LOG: process.env.AGENT_RUNNER_LOG ?? "warn" };
}

export interface Connection {
  readonly client: Client;
  /** The house in this process; `null` when a server is spoken to. */
  readonly house: House | null;
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Whether the house in this process drives runs too. */
  readonly work?: boolean;
  /** Where definitions of a project are looked for: this folder or one above it; the current one when absent. */
  readonly near?: string;
  /** For the house in this process, over the environment. */
  readonly env?: Env;
}

/**
 * A running server if there is one (named, or noted in the data folder and alive), else the house in this process
 * on the same data: the commands do not see the difference.
 */
export async function connect(options: CommonOptions, of: ConnectOptions = {}): Promise<Connection> {
  if (options.server !== undefined) return over(serverUrl(options.server));
  const config = configOf(options, { ...quietly(), ...of.env });
  const running = await runningServer(config.dataDir);
  if (running !== null) return over(running.url);
  return embed(config, of);
}

const WORKING: readonly Role[] = ["worker", "services"];

/** The house in this process, whether or not a server works on the same data. */
export async function embed(config: Config, of: Pick<ConnectOptions, "near" | "work">): Promise<Connection> {
  const house = await openHouse(config, of.near);
  if (of.work) await house.start(WORKING);
  return { client: new Client(await within(house)), house, close: () => house.close() };
}

function over(url: string): Connection {
  return { client: new Client(wire(url)), house: null, close: async () => {} };
}

/** Loaded when it is needed: a command that talks to a server is there at once. */
export async function openHouse(
  config: Config,
  near = here(),
  options: Pick<ComposeOptions, "settings"> = {},
): Promise<House> {
  const { compose } = await import("../app/compose.ts");
  const project = projectOf(near, config.dataDir);
  return compose(config, { ...options, ...(project === null ? {} : { project }) });
}

/** The nearest folder, from here upwards, that holds definitions of its own. */
export function projectOf(near: string, dataDir: string): string | null {
  for (let dir = resolve(near); ; dir = dirname(dir)) {
    const own = join(dir, ".agent-runner");
    if (own !== dataDir && existsSync(own)) return dir;
    if (existsSync(join(dir, ".git")) || dir === dirname(dir)) return null;
  }
}

function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href;
  const message = `--server is ${JSON.stringify(text)}; expected a URL like http://127.0.0.1:8000`;
  throw new FailureError(failure("invalid_config", message, { setting: "--server" }));
}

/** The same API without a socket. */
export async function within(house: House): Promise<Transport> {
  const [{ createHttpServer }, { productVersion }, { pino }] = await Promise.all([
    import("../http/server.ts"),
    import("../app/version.ts"),
    import("pino"),
  ]);
  const { app } = createHttpServer({
    ...house.operations,
    logger: pino({ level: "silent" }),
    version: productVersion(),
  });
  return {
    where: "embedded",
    async send(request, signal) {
      const answer = await app.inject({
        method: request.method,
        url: request.path,
        headers: { host: "127.0.0.1", ...request.headers },
        payloadAsStream: true,
        ...(request.body === undefined ? {} : { payload: request.body as object }),
        ...(signal === undefined ? {} : { signal }),
      });
      const stream = answer.stream();
      const bytes = async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        return new Uint8Array(Buffer.concat(chunks));
      };
      return {
        status: answer.statusCode,
        body: Readable.toWeb(stream) as ReadableStream<Uint8Array>,
        bytes,
        text: async () => Buffer.from(await bytes()).toString("utf8"),
      };
    },
  };
}
