import { createWriteStream, type WriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { z } from "zod";
import type { FakePrices } from "../adapters/models/fake-server/billing.ts";
import { type Behaviour, type FakeModels, startFakeModels } from "../adapters/models/fake-server/server.ts";
import { parseScript } from "../adapters/models/script/parse.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { systemClock } from "./system-clock.ts";

const rate = z.number().min(0).max(1_000_000);
const pricesSchema = z
  .record(
    z.string().min(1),
    z.strictObject({
      input: rate,
      output: rate,
      cache_read: rate.optional(),
      cache_write: rate.optional(),
    }),
  )
  .refine((prices) => Object.keys(prices).length > 0, { message: "is empty" });

export interface FakeModelsOptions {
  readonly scripts: readonly string[];
  readonly port: number;
  /** A file for the server's own books: a line of JSON for every request that has ended. */
  readonly ledger?: string;
  /** A JSON file: US dollars per million tokens by model, `*` for all others. */
  readonly prices?: string;
  /** ms between the pieces of every answer. */
  readonly paceMs?: number;
  readonly outage?: Outage;
}

export const OUTAGES = ["dies", "overloaded", "hangs"] as const;

/** From its n-th answer on, counted from 1, the server is out of order; `dies`: the process, in the middle of that one. */
export interface Outage {
  readonly at: number;
  readonly kind: (typeof OUTAGES)[number];
}

/** A server on loopback that plays scripts over the wire protocols of real providers. Port 0 takes a free one. */
export async function serveFakeModels(of: FakeModelsOptions): Promise<Pick<FakeModels, "url" | "close">> {
  const scripts = [];
  for (const path of of.scripts) {
    const source = await readFile(path, "utf8").catch((error: Error) => {
      throw new FailureError(failure("invalid_script", `${path} cannot be read: ${error.message}`));
    });
    const script = parseScript(source, path);
    if (!script.ok) throw new FailureError(script.failure);
    scripts.push(script.value);
  }
  const prices = of.prices === undefined ? undefined : await readPrices(of.prices);
  const books = of.ledger === undefined ? null : await openBooks(of.ledger);
  try {
    const server = await startFakeModels({
      scripts,
      clock: systemClock,
      port: of.port,
      behave: behaviourOf(of),
      ...(prices === undefined ? {} : { prices }),
      ...(books === null ? {} : { onBill: (bill) => books.write(`${JSON.stringify(bill)}\n`) }),
    });
    const close = async () => {
      await server.close();
      if (books !== null) await finished(books.end());
    };
    return { url: server.url, close };
  } catch (error) {
    books?.destroy();
    throw cannotListen(error as NodeJS.ErrnoException, of.port);
  }
}

function behaviourOf({ paceMs, outage }: FakeModelsOptions): () => Behaviour {
  const pace = paceMs === undefined ? {} : { paceMs };
  let asked = 0;
  return () => {
    asked += 1;
    if (outage === undefined || asked < outage.at) return pace;
    if (outage.kind === "overloaded") return { fault: { kind: "overloaded" } };
    if (outage.kind === "hangs") return { fault: { kind: "hang" } };
    // As a machine dies: nothing is said, nothing is written.
    return { ...pace, halfway: () => process.kill(process.pid, "SIGKILL") };
  };
}

function cannotListen(error: NodeJS.ErrnoException, port: number): unknown {
  const { code, message } = error;
  if (code === "EADDRINUSE") {
    return new FailureError(
      failure("address_in_use", `Something else listens on 127.0.0.1:${port} already.`),
    );
  }
  if (code === "EACCES") return new FailureError(failure("invalid_config", `Cannot listen: ${message}.`));
  return error;
}

function openBooks(path: string): Promise<WriteStream> {
  const stream = createWriteStream(path, { flags: "a" });
  return new Promise((resolve, reject) => {
    stream.once("open", () => resolve(stream));
    stream.once("error", (error) =>
      reject(
        new FailureError(failure("invalid_config", `--ledger ${path} cannot be written: ${error.message}`)),
      ),
    );
  });
}

async function readPrices(path: string): Promise<FakePrices> {
  const refuse = (why: string) => new FailureError(failure("invalid_config", `--prices ${path} ${why}`));
  const source = await readFile(path, "utf8").catch((error: Error) => {
    throw refuse(`cannot be read: ${error.message}`);
  });
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw refuse(`is not JSON: ${(error as Error).message}`);
  }
  const parsed = pricesSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join(".") ?? "";
    throw refuse(
      `is not a table of prices (${where === "" ? "" : `${where}: `}${issue?.message}); write {"*": {"input": 3, "output": 15}}, ` +
        "US dollars per million tokens",
    );
  }
  return Object.fromEntries(
    Object.entries(parsed.data).map(([model, { input, output, cache_read, cache_write }]) => [
      model,
      { input, output, cacheRead: cache_read ?? input, cacheWrite: cache_write ?? input },
    ]),
  );
}
