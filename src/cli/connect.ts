import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pino } from "pino";
import { compose } from "../app/compose.ts";
import { type Config, readConfig } from "../app/config.ts";
import type { House } from "../app/house.ts";
import { productVersion } from "../app/version.ts";
import { FailureError } from "../domain/errors.ts";
import { createHttpServer } from "../http/server.ts";
import { Client, type Transport, wire } from "./client.ts";

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly data?: string;
  readonly server?: string;
  readonly model?: string;
}

/** Where a running server says that it is reached; in the data folder. */
export const SERVER_FILE = "server.json";
const ALIVE_MS = 2_000;

export function configOf(
  options: CommonOptions,
  more: Readonly<Record<string, string | undefined>> = {},
): Config {
  const env = {
    ...process.env,
    ...(options.data === undefined ? {} : { AGENT_RUNNER_DATA: options.data }),
    ...(options.model === undefined ? {} : { AGENT_RUNNER_MODEL: options.model }),
    ...more,
  };
  const config = readConfig(env);
  if (!config.ok) throw new FailureError(config.failure);
  return config.value;
}

export interface Connection {
  readonly client: Client;
  /** The house in this process; `null` when a server is spoken to. */
  readonly house: House | null;
  close(): Promise<void>;
}

/**
 * A running server if there is one (named, or noted in the data folder and alive), else the house in this process
 * on the same data: the commands do not see the difference.
 */
export async function connect(
  options: CommonOptions,
  of: { readonly work?: boolean; readonly project?: string } = {},
): Promise<Connection> {
  if (options.server !== undefined)
    return { client: new Client(wire(options.server)), house: null, close: async () => {} };
  const config = configOf(options, { AGENT_RUNNER_LOG: process.env.AGENT_RUNNER_LOG ?? "warn" });
  const running = await runningServer(config.dataDir);
  if (running !== null) return { client: new Client(wire(running)), house: null, close: async () => {} };
  const house = await compose(config, of.project === undefined ? {} : { project: of.project });
  if (of.work) await house.start();
  return { client: new Client(within(house)), house, close: () => house.close() };
}

/** The URL of the server that works on this data folder, or `null`. */
export async function runningServer(dataDir: string): Promise<string | null> {
  try {
    const { url } = JSON.parse(await readFile(join(dataDir, SERVER_FILE), "utf8")) as { url: string };
    const answer = await fetch(new URL("/healthz", url), { signal: AbortSignal.timeout(ALIVE_MS) });
    return answer.ok ? url : null;
  } catch {
    // No note, or nobody there: the note of a server that was killed stays behind.
    return null;
  }
}

/** The same API without a socket. */
export function within(house: House): Transport {
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
