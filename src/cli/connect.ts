import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import type { ComposeOptions } from "../app/compose.ts";
import { type Config, modelForAll, readConfig } from "../app/config.ts";
import type { House } from "../app/house.ts";
import type { Role } from "../contracts/fleet.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { Client, type Transport, wire } from "./client.ts";
import { absolute, here } from "./here.ts";
import { personHere } from "./person.ts";
import { runningServer } from "./server-file.ts";

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly data?: string;
  readonly server?: string;
  readonly model?: string;
  readonly tenant?: string;
  readonly principal?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

export function configOf(options: CommonOptions, more: Env = {}): Config {
  const env = {
    ...process.env,
    ...(options.data === undefined ? {} : { AGENT_RUNNER_DATA: absolute(options.data) }),
    ...(options.model === undefined ? {} : modelForAll(options.model)),
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
  /** What is done is done by somebody: whoever types it, unless `--principal` says another. */
  readonly person?: boolean;
  /** For the house in this process, over the environment. */
  readonly env?: Env;
}

/**
 * A running server if there is one (named, or noted in the data folder and alive), else the house in this process
 * on the same data: the commands do not see the difference.
 */
export async function connect(options: CommonOptions, of: ConnectOptions = {}): Promise<Connection> {
  // Another machine's server does not know the accounts of this one.
  if (options.server !== undefined) return over(serverUrl(options.server), identityOf(options));
  const person = of.person === true ? personHere() : null;
  const config = configOf(options, { ...quietly(), ...of.env });
  const running = await runningServer(config.dataDir);
  if (running === null) return embed(config, { ...of, identity: identityOf(options, person) });
  const { url, key } = running;
  if (key === null) return over(url, identityOf(options));
  return over(url, { ...identityOf(options, person), "x-agent-runner-key": key });
}

type Headers = Readonly<Record<string, string>>;

function identityOf({ tenant, principal: named }: CommonOptions, person: string | null = null): Headers {
  const principal = named ?? person ?? undefined;
  return {
    ...(tenant === undefined ? {} : { "x-agent-runner-tenant": tenant }),
    ...(principal === undefined ? {} : { "x-agent-runner-principal": principal }),
  };
}

/** Every request says for whom it is made. */
function saying(transport: Transport, identity: Headers): Transport {
  if (Object.keys(identity).length === 0) return transport;
  const { where } = transport;
  return {
    where,
    send: (request, signal) =>
      transport.send({ ...request, headers: { ...request.headers, ...identity } }, signal),
  };
}

const WORKING: readonly Role[] = ["worker", "services"];

/** The house in this process, whether or not a server works on the same data. */
export async function embed(
  config: Config,
  of: Pick<ConnectOptions, "near" | "work"> & { readonly identity?: Headers },
): Promise<Connection> {
  const house = await openHouse(config, of.near);
  if (of.work) await house.start(WORKING);
  return {
    client: new Client(saying(await within(house), of.identity ?? {})),
    house,
    close: () => house.close(),
  };
}

function over(url: string, identity: Headers): Connection {
  return { client: new Client(saying(wire(url), identity)), house: null, close: async () => {} };
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
    // Nobody but this very command speaks through it.
    trustIdentityHeaders: true,
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
