import type { AddressInfo } from "node:net";
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import { serializerCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import type { Logger } from "pino";
import { type Failure, fail, failure, ok, type Result } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Parts } from "../operations/parts.ts";
import { watchMethods } from "./allowed-methods.ts";
import { useJsonBodies } from "./body.ts";
import { errorBody, sendFailure, toFailure } from "./errors.ts";
import { loopbackAddress, refuseForeign } from "./guard.ts";
import { identify } from "./identity.ts";
import { describeApi } from "./openapi.ts";
import type { App, RouteParts } from "./parts.ts";
import { allRoutes } from "./routes.ts";
import type { StreamTimes } from "./sse.ts";
import { compileValidator } from "./validate.ts";

export interface HttpParts extends Parts {
  readonly logger: Logger;
  /** Of agent-runner. */
  readonly version: string;
  /** Whether whoever sends the identity headers is believed; not, when absent. */
  readonly trustIdentityHeaders?: boolean;
  /** Whoever sends it as `x-agent-runner-key` is believed too: a secret of those who may read the data folder. */
  readonly key?: string;
}

export interface HttpServer {
  /** For requests without a socket. */
  readonly app: FastifyInstance;
  /** Refuses every host that other machines could reach. Port 0 takes a free one. */
  listen(address: {
    readonly host: string;
    readonly port: number;
  }): Promise<Result<{ readonly url: string }>>;
  /** Ends event streams, lets requests under way finish, refuses new ones. May be called twice. */
  close(): Promise<void>;
}

/** How long one request may take to arrive, head and body. */
const REQUEST_TIMEOUT_MS = 30_000;
const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const CLOSE_MS = 5_000;
const LONGEST_PARAM = 300;
const SECOND_MS = 1_000;
const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
} as const;
const STREAM_TIMES: StreamTimes = { heartbeatMs: LIMITS.streamHeartbeatMs, stallMs: LIMITS.streamStallMs };

export function createHttpServer(parts: HttpParts, times: StreamTimes = STREAM_TIMES): HttpServer {
  const app = createApp(parts);
  const state = { closing: false };
  const streams = new Set<AbortController>();
  const routeParts: RouteParts = { ...parts, startedAt: parts.clock.now(), times, streams };

  logRequests(app, parts);
  guard(app, parts, state);
  identify(app, { everybody: parts.trustIdentityHeaders === true, key: parts.key ?? null });
  answerFailures(app);
  useJsonBodies(app);
  describeApi(app, parts.version);
  app.register(async (scope) => allRoutes(scope.withTypeProvider<ZodTypeProvider>() as App, routeParts));
  app.addHook("preClose", async () => {
    state.closing = true;
    for (const stream of streams) stream.abort();
  });

  return {
    app,
    listen: (address) => listen(app, address),
    async close() {
      // A request that takes its time, or a reader that does not read, must not hold the end for ever.
      const late = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
      await app.close().finally(() => clearTimeout(late));
    },
  };
}

function createApp(parts: HttpParts): FastifyInstance {
  const app: FastifyInstance = Fastify({
    loggerInstance: parts.logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => parts.newId("req"),
    bodyLimit: LIMITS.requestBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    routerOptions: { maxParamLength: LONGEST_PARAM },
    // These come before any hook: the guard stands here too.
    frameworkErrors: (error, request, reply) => {
      const value = refuse(request, reply, portOf(app)) ?? toFailure(error);
      sendFailure(request, reply, value);
    },
    clientErrorHandler(error, socket) {
      if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
      const body = JSON.stringify(
        errorBody(failure("invalid_request", `Not an HTTP request: ${error.message}.`), parts.newId("req")),
      );
      socket.end(
        `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
  });
  app.setValidatorCompiler(compileValidator as never);
  app.setSerializerCompiler(serializerCompiler as never);
  return app;
}

/** Runs first, for every request whatever its path: nobody from elsewhere learns even what exists. */
function guard(app: FastifyInstance, parts: HttpParts, state: { readonly closing: boolean }): void {
  app.addHook("onRequest", async (request, reply) => {
    const foreign = refuse(request, reply, portOf(app));
    if (foreign) return sendFailure(request, reply, foreign);
    if (state.closing) {
      return sendFailure(request, reply, failure("unavailable", "The server is stopping."));
    }
    if (parts.steering?.draining() === true) {
      // Whoever asks again comes by a new connection, which a balancer gives to another server.
      reply.header("connection", "close");
      const message = "The server is draining: it answers what is read, and takes nothing new.";
      if (!READS.has(request.method)) return sendFailure(request, reply, failure("unavailable", message));
    }
    return undefined;
  });
}

/** Sets what every answer carries; says why the caller may not have one, if so. */
function refuse(request: FastifyRequest, reply: FastifyReply, port: number | null): Failure | null {
  reply.headers({ ...SECURITY_HEADERS, "x-request-id": request.id });
  return refuseForeign(request.headers, port);
}

function answerFailures(app: FastifyInstance): void {
  const methodsOf = watchMethods(app);
  app.setErrorHandler((error, request, reply) => {
    const value = toFailure(error);
    if (value.code === "internal")
      request.log.error({ err: error, request_id: request.id }, "request failed");
    return sendFailure(request, reply, value);
  });
  app.setNotFoundHandler((request, reply) => {
    const [path = ""] = request.url.split("?");
    const allowed = methodsOf(path);
    if (allowed.length === 0) {
      return sendFailure(request, reply, failure("not_found", `There is nothing at ${path.slice(0, 200)}.`));
    }
    reply.header("allow", allowed.join(", "));
    const message = `${request.method} is not possible at ${path.slice(0, 200)}; it takes ${allowed.join(", ")}.`;
    return sendFailure(request, reply, failure("method_not_allowed", message));
  });
}

/** One line a request: the route, never its query, headers or body, which may hold what is nobody's business. */
function logRequests(app: FastifyInstance, parts: HttpParts): void {
  app.addHook("onRequest", async (request, reply) => {
    // `close` comes for every answer, also for one whose reader went away in its middle.
    reply.raw.once("close", () => {
      const line = {
        request_id: request.id,
        method: request.method,
        route: request.routeOptions.url ?? "unknown",
        status: reply.raw.statusCode,
        ms: Math.round(reply.elapsedTime),
        whole: reply.raw.writableFinished,
      };
      const { method, route, status } = line;
      const labels = { method, route, status: String(status) };
      parts.metrics.observe("http_request_seconds", reply.elapsedTime / SECOND_MS, labels);
      parts.logger.info(line, "request");
    });
  });
}

function portOf(app: FastifyInstance): number | null {
  const address = app.server.address() as AddressInfo | null;
  return address?.port ?? null;
}

async function listen(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Result<{ readonly url: string }>> {
  const address = loopbackAddress(host);
  if (address === null) {
    return fail(
      "invalid_config",
      `host is ${JSON.stringify(host)}; expected 127.0.0.1, ::1 or localhost. There are no accounts yet, so the server listens only where other machines cannot reach it; from elsewhere, come through an SSH tunnel.`,
      { field: "host", value: host },
    );
  }
  try {
    await app.listen({ host: address, port });
  } catch (error) {
    return listenFailure(error, `${host}:${port}`);
  }
  const name = address === "::1" ? "[::1]" : address;
  return ok({ url: `http://${name}:${portOf(app) ?? port}` });
}

function listenFailure(error: unknown, where: string): Result<never> {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return fail("address_in_use", `Something else listens on ${where} already.`);
  if (code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ERR_SOCKET_BAD_PORT") {
    return fail("invalid_config", `Cannot listen on ${where}: ${(error as Error).message}.`, {
      field: "port",
    });
  }
  throw error;
}
