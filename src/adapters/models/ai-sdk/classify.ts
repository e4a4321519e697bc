import { inspect } from "node:util";
import { APICallError, JSONParseError, TypeValidationError } from "@ai-sdk/provider";
import { isJsonObject } from "../../../base/json.ts";
import { clip } from "../../../base/text.ts";
import { type ErrorCode, type Failure, failure } from "../../../domain/errors.ts";
import type { InBandError } from "./dialect.ts";
import { retryAfterMs } from "./retry-after.ts";

export interface Classified {
  readonly failure: Failure;
  readonly retryAfterMs?: number;
}

interface Context {
  readonly name: string;
  readonly now: number;
  readonly secrets: readonly string[];
  /** Whether the answer had begun when the connection broke. */
  readonly responded: boolean;
}

const MESSAGE_CHARS = 500;
const BODY_CHARS = 1_000;

const OVERFLOW =
  /context[ _]?(length|window|size|limit)|prompt is too long|input is too long|maximum (context|prompt|input)|too many (input )?tokens|input token count.{0,40}exceeds|exceed_context_size|reduce the length of the (messages|prompt)/i;
const REFUSED = /content[ _]?(filter|policy|management policy)|responsible_?ai|safety system/i;
const BAD_KEY = /api[ _]?key (not valid|is invalid|expired)|invalid[ _](x-)?api[ _-]?key|api_key_invalid/i;
const SPENT = /insufficient_quota|billing|credit balance|exceeded your current quota|payment required/i;

/** Whatever the SDK threw, as a value of the catalogue. */
export function classifyThrown(error: unknown, context: Context): Classified {
  if (APICallError.isInstance(error)) {
    // A stream that breaks after its 200 comes as this error, too.
    return (error.statusCode ?? 200) < 300 ? brokenStream(error, context) : answered(error, context);
  }
  if (JSONParseError.isInstance(error) || TypeValidationError.isInstance(error)) {
    return { failure: badReply(error, context) };
  }
  if (isNetworkError(error)) return broken(error, context);
  const said = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error, { depth: 1 });
  return { failure: make("model_bad_reply", said, context) };
}

/** An error inside a stream. */
export function classifyInBand(error: InBandError, context: Context): Classified {
  const code = codeOf({ status: error.status, kind: error.kind, message: error.message });
  const kind = error.kind === "" ? "" : ` (${error.kind})`;
  return { failure: make(code, `reported an error in its stream${kind}: ${error.message}`, context) };
}

function badReply(error: Error, context: Context): Failure {
  const shown = clean(error.message, context.secrets, MESSAGE_CHARS);
  return make("model_bad_reply", `sent something that is not part of its protocol: ${shown}`, context);
}

function answered(error: APICallError, context: Context): Classified {
  const status = error.statusCode ?? 0;
  const said = readBody(error.responseBody);
  const message = said.message === "" ? error.message : said.message;
  const spent = SPENT.test(`${said.kind} ${message}`);
  const code = status === 402 ? "model_rate_limited" : codeOf({ status, kind: said.kind, message });
  const kind = said.kind === "" ? "" : ` (${said.kind})`;
  const requestId = error.responseHeaders?.["request-id"] ?? error.responseHeaders?.["x-request-id"];
  const details = {
    status,
    body: clean(error.responseBody ?? "", context.secrets, BODY_CHARS),
    ...(requestId === undefined ? {} : { requestId }),
  };
  const made = make(code, `answered ${status}${kind}: ${message}`, context, details);
  // An empty account is no matter of waiting.
  const failed =
    code === "model_rate_limited" && (spent || status === 402) ? { ...made, retryable: false } : made;
  const wait = retryAfterMs(error.responseHeaders ?? {}, said.retryDelay, context.now);
  return wait === null ? { failure: failed } : { failure: failed, retryAfterMs: wait };
}

function brokenStream(error: APICallError, context: Context): Classified {
  const { cause } = error;
  return JSONParseError.isInstance(cause) || TypeValidationError.isInstance(cause)
    ? { failure: badReply(cause, context) }
    : broken(error, context);
}

/** The connection could not be made, or broke: before the answer began nothing was lost, after it the answer was. */
function broken(error: unknown, context: Context): Classified {
  const reason = deepest(error);
  // The HTTP client's own limits, which lie beyond ours unless ours were raised.
  if (/UND_ERR_(HEADERS|BODY)_TIMEOUT/.test(reason)) {
    return { failure: make("model_timeout", `sent nothing for too long: ${reason}`, context) };
  }
  if (context.responded) {
    return { failure: make("model_truncated", `broke the connection during its answer: ${reason}`, context) };
  }
  return { failure: make("model_unavailable", `could not be reached: ${reason}`, context) };
}

function codeOf(error: {
  readonly status: number | undefined;
  readonly kind: string;
  readonly message: string;
}): ErrorCode {
  const { status } = error;
  const kind = error.kind.toLowerCase();
  const all = `${kind} ${error.message}`;
  const callers =
    status === undefined || status === 400 || status === 413 || status === 422 || status === 500;
  if (BAD_KEY.test(all) || status === 401 || status === 403) return "model_auth";
  if (/authentication|unauthenticated|permission/.test(kind)) return "model_auth";
  if (status === 429 || /rate_limit|resource_exhausted|insufficient_quota/.test(kind))
    return "model_rate_limited";
  if (callers && OVERFLOW.test(all)) return "model_context_overflow";
  if (callers && REFUSED.test(all)) return "model_refused";
  if (status === 413) return "model_context_overflow";
  if (status === 529 || status === 503 || /overloaded|^unavailable$/.test(kind)) return "model_overloaded";
  if (status === 408 || status === 504 || /timeout|deadline_exceeded/.test(kind)) return "model_timeout";
  if (status === 404 || /not_found/.test(kind)) return "model_unknown";
  if (status !== undefined && status >= 400 && status < 500) return "model_invalid_request";
  if (/invalid_request|invalid_argument/.test(kind)) return "model_invalid_request";
  if (status === undefined && /overload|too busy|server busy/i.test(error.message)) return "model_overloaded";
  return "model_unavailable";
}

/** Every provider's shape of an error: `{error: {type|code|status, message}}`, `{error: "…"}`, `{message}`. */
function readBody(body: string | undefined): {
  readonly kind: string;
  readonly message: string;
  readonly retryDelay: string | null;
} {
  const nothing = { kind: "", message: "", retryDelay: null };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body ?? "");
  } catch {
    return nothing;
  }
  // Some servers answer with a list of one.
  const whole: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  if (!isJsonObject(whole)) return nothing;
  const inner = whole.error ?? whole;
  if (typeof inner === "string") {
    const nested = inner.startsWith("{") ? readBody(inner) : nothing;
    return nested.message === "" ? { ...nothing, message: inner } : nested;
  }
  if (!isJsonObject(inner)) return nothing;
  const kind = [inner.type, inner.status, inner.code].find((value) => typeof value === "string");
  const message = typeof inner.message === "string" ? inner.message : "";
  return { kind: typeof kind === "string" ? kind : "", message, retryDelay: retryDelayOf(inner.details) };
}

function retryDelayOf(details: unknown): string | null {
  if (!Array.isArray(details)) return null;
  for (const detail of details) {
    if (isJsonObject(detail) && typeof detail.retryDelay === "string") return detail.retryDelay;
  }
  return null;
}

function isNetworkError(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof Error && "code" in error);
}

function deepest(error: unknown): string {
  let current = error;
  for (let depth = 0; depth < 5; depth += 1) {
    if (!(current instanceof Error) || !(current.cause instanceof Error)) break;
    current = current.cause;
  }
  if (!(current instanceof Error)) return inspect(current, { depth: 1 });
  const code = "code" in current && typeof current.code === "string" ? current.code : "";
  return current.message === "" || current.message.includes(code)
    ? current.message || code
    : `${current.message} (${code})`;
}

function make(
  code: ErrorCode,
  message: string,
  context: Context,
  details?: Readonly<Record<string, string | number>>,
): Failure {
  return failure(code, `${context.name} ${clean(message, context.secrets, MESSAGE_CHARS)}`, details);
}

function clean(text: string, secrets: readonly string[], maxChars: number): string {
  let shown = text;
  for (const secret of secrets) if (secret !== "") shown = shown.replaceAll(secret, "[redacted]");
  return clip(shown, maxChars).text;
}
