import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { Parts } from "../operations/parts.ts";
import type { StreamTimes } from "./sse.ts";

/** The application as the routes see it: schemas of zod, checked and inferred. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What the routes are given. */
export interface RouteParts extends Parts {
  readonly version: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly times: StreamTimes;
  /** Open event streams; closed with the server. */
  readonly streams: Set<AbortController>;
}
