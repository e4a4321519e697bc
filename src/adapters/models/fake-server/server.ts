import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../../base/clock.ts";
import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import { chooseTurn } from "../script/choose.ts";
import { type Fault, FaultLedger } from "../script/faults.ts";
import { playTurn } from "../script/play.ts";
import { FAULT_KINDS, type FaultKind, type Script } from "../script/schema.ts";
import { anthropic } from "./anthropic.ts";
import { type Bill, Billing, type BillingView, type FakePrices } from "./billing.ts";
import { google } from "./google.ts";
import { ollama } from "./ollama.ts";
import { openai } from "./openai.ts";
import type { Asked, Protocol } from "./protocol.ts";
import { pause, respond, type Shape } from "./respond.ts";

const PROTOCOLS: readonly Protocol[] = [anthropic, openai, google, ollama];
/** Loopback only: it answers whoever asks. */
const HOST = "127.0.0.1";
const MAX_BODY_BYTES = 33_554_432;
const MAX_JOURNAL = 1_000;
const FAULT_MODEL = /^fault-([a-z_]+)$/;

export interface FakeModelsSettings {
  /** A model named like a script is answered by it, every other model by the first. */
  readonly scripts: readonly Script[];
  readonly clock: Clock;
  /** 0 takes a free one. */
  readonly port?: number;
  /** What it charges; a made-up price for every model when absent. */
  readonly prices?: FakePrices;
  /** Hears every line of the server's own books, when its request has ended. */
  readonly onBill?: (bill: Bill) => void;
  /** What a request meets, instead of what the script says. */
  readonly behave?: (asked: Asked) => Behaviour;
}

export interface Behaviour {
  /** ms before the first word. */
  readonly delayMs?: number;
  /** ms between the pieces of the answer. */
  readonly paceMs?: number;
  readonly fault?: Fault;
  /** Called in the middle of the answer. */
  readonly halfway?: () => void;
}

/** What was asked and how it was answered, as `GET /__requests` lists it. */
export interface JournalEntry {
  readonly n: number;
  readonly method: string;
  readonly path: string;
  readonly protocol: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  fault: FaultKind | null;
  turn: string | null;
  /** How it ended: all was sent, the client went away, or it is still open. */
  ended: "open" | "sent" | "client_left";
}

export interface FakeModels {
  /** `http://127.0.0.1:<port>`: the base URL of all four protocols (OpenAI's with `/v1`). */
  readonly url: string;
  readonly journal: readonly JournalEntry[];
  /** What was billed for what; see `GET /__fake/ledger`. */
  billing(): BillingView;
  close(): Promise<void>;
}

/**
 * A server that speaks the wire protocols of Anthropic, OpenAI, Gemini and Ollama and plays scripts over them. Besides
 * the script, `x-fake-fault: <kind>` or a model named `fault-<kind>` make an answer fail; `x-fake-wire` takes `split=<bytes>`,
 * `comments`, `crlf` and `pace=<ms>`, separated by commas. `GET /__requests` lists what was asked, `GET /__fake/ledger` what was
 * billed for it (`?entries=0`: totals only); `DELETE` forgets either.
 */
export async function startFakeModels(settings: FakeModelsSettings): Promise<FakeModels> {
  const billing = new Billing(settings);
  const house: House = { ...settings, ledger: new FaultLedger(), billing, journal: [], asked: 0 };
  const server = createServer((request, response) => {
    handle(house, request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: `the fake server failed: ${String(error)}` } }));
    });
  });
  await listen(server, settings.port ?? 0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${HOST}:${port}`,
    journal: house.journal,
    billing: () => billing.view(true),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

interface House {
  readonly scripts: readonly Script[];
  readonly clock: Clock;
  readonly behave?: (asked: Asked) => Behaviour;
  readonly ledger: FaultLedger;
  readonly billing: Billing;
  readonly journal: JournalEntry[];
  asked: number;
}

async function handle(house: House, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname: path, searchParams } = new URL(request.url ?? "/", "http://fake");
  if (path === "/__requests") return answerJournal(house, request, response);
  if (path === "/__fake/ledger") {
    if (request.method === "DELETE") house.billing.reset();
    return json(response, 200, house.billing.view(searchParams.get("entries") !== "0"));
  }
  if (request.method === "GET" || request.method === "HEAD") return answerList(house, path, response);
  const body = await readBody(request);
  if (body === null)
    return json(response, 400, { error: { message: "the body is not a JSON object, or too large" } });
  for (const protocol of PROTOCOLS) {
    const asked = protocol.read(path, body);
    if (asked !== null) return answer(house, { protocol, asked, request, response, path, body });
  }
  json(response, 404, { error: { message: `no protocol of the fake server has the path ${path}` } });
}

interface Exchange {
  readonly protocol: Protocol;
  readonly asked: Asked;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly body: JsonObject;
}

async function answer(house: House, exchange: Exchange): Promise<void> {
  const { protocol, asked, request, response } = exchange;
  const entry = note(house, exchange);
  const tag = request.headers["x-fake-tag"];
  const meter = house.billing.open(
    { wire: protocol.name, model: asked.model, tag: tag === undefined ? null : String(tag) },
    response,
  );
  const reject = (status: number, error: JsonObject) => {
    meter.rejects();
    json(response, status, { error });
  };
  const [name = "", ...rest] = asked.model.split("/");
  const named = house.scripts.find((script) => script.name === name);
  const script = named ?? house.scripts[0];
  if (script === undefined) return reject(404, { message: "no script is loaded" });
  const choice = chooseTurn(
    script,
    asked.sent,
    named === undefined || rest.length === 0 ? null : rest.join("/"),
  );
  if (!choice.ok) {
    // Like a provider that does not understand the request: the client must not try again.
    return reject(400, { type: choice.failure.code, message: choice.failure.message });
  }
  const played = playTurn(choice.value, asked.sent);
  if (!played.ok) {
    return reject(400, { type: played.failure.code, message: played.failure.message });
  }
  entry.turn = choice.value.label;
  const behaviour = house.behave?.(asked) ?? {};
  const fault =
    demanded(request, asked.model) ?? behaviour.fault ?? house.ledger.next(choice.value, asked.sent);
  entry.fault = fault?.kind ?? null;
  meter.fault = entry.fault;
  meter.plays(played.value);
  const { turn } = choice.value;
  const delayMs = behaviour.delayMs ?? turn.delay_ms ?? 0;
  if (delayMs > 0) await pause(house.clock, delayMs, response);
  if (response.destroyed) return;
  const shape = shapeOf(request, behaviour.paceMs ?? turn.pace_ms ?? 0);
  const { clock } = house;
  const { halfway = () => {} } = behaviour;
  await respond(response, { protocol, asked, played: played.value, shape, clock, meter, halfway }, fault);
}

function note(house: House, exchange: Exchange): JournalEntry {
  const { protocol, request, response, path, body } = exchange;
  house.asked += 1;
  const entry: JournalEntry = {
    n: house.asked,
    method: request.method ?? "",
    path,
    protocol: protocol.name,
    headers: shownHeaders(request),
    body,
    fault: null,
    turn: null,
    ended: "open",
  };
  house.journal.push(entry);
  if (house.journal.length > MAX_JOURNAL) house.journal.shift();
  response.on("finish", () => {
    entry.ended = "sent";
  });
  response.on("close", () => {
    if (entry.ended === "open") entry.ended = "client_left";
  });
  return entry;
}

/** Whether a key was sent may be looked at; the key may not. */
function shownHeaders(request: IncomingMessage): Record<string, string> {
  const secret = /^(authorization|x-api-key|x-goog-api-key|cookie)$/;
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      secret.test(name) ? "(sent)" : String(value),
    ]),
  );
}

function demanded(request: IncomingMessage, model: string): Fault | null {
  const wanted = request.headers["x-fake-fault"] ?? FAULT_MODEL.exec(model)?.[1];
  const kind = FAULT_KINDS.find((known) => known === wanted);
  if (kind === undefined) return null;
  const wait = Number(request.headers["x-fake-retry-after-ms"]);
  return Number.isFinite(wait) ? { kind, retryAfterMs: wait } : { kind };
}

function shapeOf(request: IncomingMessage, paceMs: number): Shape {
  const wanted = String(request.headers["x-fake-wire"] ?? "").split(",");
  const number = (name: string) =>
    wanted.map((word) => new RegExp(`^${name}=(\\d{1,6})$`).exec(word.trim())?.[1]).find(Boolean);
  return {
    splitBytes: Number(number("split") ?? 0),
    paceMs: Number(number("pace") ?? paceMs),
    comments: wanted.includes("comments"),
    crlf: wanted.includes("crlf"),
  };
}

function answerJournal(house: House, request: IncomingMessage, response: ServerResponse): void {
  if (request.method === "DELETE") house.journal.length = 0;
  json(response, 200, { requests: house.journal });
}

function answerList(house: House, path: string, response: ServerResponse): void {
  const body = listing(
    path,
    house.scripts.map((script) => script.name),
  );
  if (body !== null) json(response, 200, body);
  else json(response, 404, { error: { message: `nothing is at ${path}` } });
}

function listing(path: string, names: readonly string[]): JsonObject | null {
  if (path === "/") return { fake: "agent-runner fake-models", scripts: names };
  if (path.endsWith("/api/tags")) return { models: names.map((name) => ({ name })) };
  if (path.endsWith("/v1beta/models")) return { models: names.map((name) => ({ name: `models/${name}` })) };
  if (path.endsWith("/models")) return { data: names.map((id) => ({ id, object: "model" })) };
  return null;
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<JsonObject | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
