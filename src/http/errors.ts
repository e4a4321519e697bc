import type { FastifyReply, FastifyRequest } from "fastify";
import { isJsonObject } from "../base/json.ts";
import { clip } from "../base/text.ts";
import {
  ERRORS,
  type ErrorEntry,
  type Failure,
  FailureError,
  failure,
  type Result,
} from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import type { ErrorBody } from "./api.ts";

const FOREIGN: ErrorEntry = { status: 422, retryable: false, remedy: "The message says what happened." };
const CATALOGUE: Readonly<Record<string, ErrorEntry | undefined>> = ERRORS;
/** Seconds that a client is asked to wait when nothing better is known. */
const RETRY_AFTER_S = 1;
const MESSAGE_CHARS = 400;

/** What the catalogue says of a code; a plugin's own code has the status of a request that cannot be done. */
function entryOf(code: string): ErrorEntry {
  return CATALOGUE[code] ?? FOREIGN;
}

export function errorBody(value: Failure, requestId: string): ErrorBody {
  const { code, message, details } = value;
  const shown = details === undefined ? {} : { details };
  return { error: { code, message, remedy: entryOf(code).remedy, ...shown, request_id: requestId } };
}

/** Sends a failure in the one shape, with its status and, where trying again can help, Retry-After. */
export function sendFailure(request: FastifyRequest, reply: FastifyReply, value: Failure): FastifyReply {
  const entry = entryOf(value.code);
  if (entry.retryable) reply.header("retry-after", String(retryAfterSeconds(value)));
  return reply
    .code(entry.status)
    .type("application/json; charset=utf-8")
    .serializer(JSON.stringify)
    .send(errorBody(value, request.id));
}

function retryAfterSeconds(value: Failure): number {
  const ms = isJsonObject(value.details) ? value.details.retry_after_ms : undefined;
  return typeof ms === "number" ? Math.max(1, Math.ceil(ms / 1_000)) : RETRY_AFTER_S;
}

/** The value of a result; its failure goes on as a throw, to the one place that answers failures. */
export function valueOrThrow<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new FailureError(result.failure);
}

/** Whatever was thrown on the way of a request, as a failure. Our own defects tell nothing of themselves to the outside. */
export function toFailure(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  const code = codeOf(error);
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return failure("payload_too_large", `The body has more than ${LIMITS.requestBytes} bytes.`, {
        limit: LIMITS.requestBytes,
      });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return failure("unsupported_media_type", `${messageOf(error)}. Send application/json.`);
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
    case "FST_ERR_BAD_URL":
      return failure("invalid_request", `${messageOf(error)}.`);
    case "FST_ERR_MAX_PARAM_LENGTH":
      return failure("not_found", "A part of the path is longer than any identifier.");
    default:
      return failure("internal", "Something went wrong inside the server; its log has the details.");
  }
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

function messageOf(error: unknown): string {
  return clip(error instanceof Error ? error.message : String(error), MESSAGE_CHARS).text;
}
