import {
  InvalidResponseDataError,
  JSONParseError,
  type LanguageModelV4StreamPart,
  TypeValidationError,
} from "@ai-sdk/provider";
import type { Clock } from "../../../base/clock.ts";
import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import type { ModelCallOptions, ModelRequest, ModelResult } from "../../../contracts/model-provider.ts";
import { type ErrorCode, failure } from "../../../domain/errors.ts";
import { totalTokens, type Usage } from "../../../domain/message.ts";
import { type Classified, classifyInBand, classifyThrown } from "./classify.ts";
import { Collector } from "./collect.ts";
import { type Dialect, NOTHING_SEEN, type WireView } from "./dialect.ts";
import { toCallOptions } from "./prompt.ts";
import { keepPieces } from "./provider-data.ts";
import type { SdkModels } from "./sdk-models.ts";
import { openWire, type Wire, type WireLimits } from "./wire.ts";

export interface Surroundings {
  readonly clock: Clock;
  readonly limits: WireLimits;
  readonly models: SdkModels;
}

/** One call as it unfolds. */
interface Course {
  readonly dialect: Dialect;
  readonly request: ModelRequest;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly wire: Wire;
  readonly collected: Collector;
  view: WireView;
  /** Events seen: an answer without a single one was not in the provider's protocol. */
  events: number;
  thrown: unknown;
}

/**
 * One call to a model, without retries. It reads the SDK's model below `streamText`, because what counts as an answer is
 * judged by the raw events: only an end marker and a usage make one.
 */
export async function generate(
  dialect: Dialect,
  around: Surroundings,
  call: { readonly request: ModelRequest; readonly options: ModelCallOptions },
): Promise<ModelResult> {
  const { request, options } = call;
  const refused = dialect.refuse?.(request) ?? null;
  if (refused !== null) return { ok: false, failure: refused };
  const { clock, models } = around;
  // Ends the request: the caller's abort, or silence on the wire. Followed by hand, as AbortSignal.any is dear.
  const stop = new AbortController();
  const onAbort = () => stop.abort(options.signal.reason);
  const observe = (event: JsonObject) => {
    course.events += 1;
    course.view = dialect.observe(course.view, event);
  };
  const course: Course = {
    dialect,
    request,
    signal: options.signal,
    clock,
    startedAt: clock.now(),
    wire: openWire({
      clock,
      stop,
      limits: around.limits,
      name: dialect.name,
      body: dialect.body,
      onLine: dialect.lines === true ? observe : undefined,
    }),
    collected: new Collector(options.onDelta, () => clock.now()),
    view: NOTHING_SEEN,
    events: 0,
    thrown: undefined,
  };
  try {
    options.signal.throwIfAborted();
    options.signal.addEventListener("abort", onAbort, { once: true });
    const model = await models.of(request.model, stop.signal, course.wire);
    const { stream } = await model.doStream(toCallOptions(dialect, request, stop.signal));
    await drain(course, stream, dialect.lines === true ? () => {} : observe);
  } catch (error) {
    course.thrown = error;
  } finally {
    options.signal.removeEventListener("abort", onAbort);
    course.wire.close();
  }
  return verdict(course);
}

async function drain(
  course: Course,
  stream: ReadableStream<LanguageModelV4StreamPart>,
  observe: (event: JsonObject) => void,
): Promise<void> {
  for await (const part of stream) {
    if (part.type === "raw") {
      const value: unknown = typeof part.rawValue === "string" ? parseOrNull(part.rawValue) : part.rawValue;
      if (isJsonObject(value)) observe(value);
    } else if (part.type === "error") {
      course.thrown ??= part.error;
      // What follows broken JSON or a reported error cannot mend the answer; an unfit event may still be explained by the end.
      if (JSONParseError.isInstance(part.error) || course.view.error !== null) return;
    } else {
      course.collected.take(part);
    }
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The one place where it is decided whether there was an answer. */
function verdict(course: Course): ModelResult {
  const { view, wire, collected, thrown } = course;
  if (course.signal.aborted) return failed(course, { failure: failure("canceled", "the call was canceled") });
  const onWire = wire.failure();
  if (onWire !== null) return failed(course, { failure: onWire });
  if (view.error !== null) return failed(course, classifyInBand(view.error, contextOf(course)));
  const objected = thrown !== undefined && isObjection(thrown);
  if (thrown !== undefined && !objected) return failed(course, classifyThrown(thrown, contextOf(course)));
  if (course.events === 0) return failed(course, silent(course));
  if (!view.complete)
    return failed(course, saying("model_truncated", course, "ended its stream without an end marker"));
  if (view.usage === null || totalTokens(view.usage) === 0) {
    return failed(course, saying("model_truncated", course, "ended its stream without saying what was used"));
  }
  if (objected) return failed(course, classifyThrown(thrown, contextOf(course)));
  return collected.finish === null
    ? failed(course, saying("model_truncated", course, "ended its stream without a reason"))
    : finished(course, view.reason ?? collected.finish.unified, view.usage);
}

/** The SDK found an event unfit, or missed the end: what the wire itself said about the end explains it better. */
function isObjection(thrown: unknown): boolean {
  return TypeValidationError.isInstance(thrown) || InvalidResponseDataError.isInstance(thrown);
}

function finished(course: Course, reason: string, usage: Usage): ModelResult {
  const { collected, request } = course;
  const raw = collected.finish?.raw ?? reason;
  if (reason === "content-filter") {
    return failed(course, saying("model_refused", course, `refused to answer (${raw})`));
  }
  if (reason === "error")
    return failed(course, saying("model_bad_reply", course, `ended with an error (${raw})`));
  if (reason !== "stop" && reason !== "tool-calls" && reason !== "length") {
    return failed(course, saying("model_truncated", course, `ended without a known reason (${raw})`));
  }
  const cut = reason === "length";
  const [brokenCall] = collected.brokenCalls;
  if (brokenCall !== undefined && !cut) {
    const what = `called the tool "${brokenCall.name}" with arguments that are not JSON: ${brokenCall.input.slice(0, 200)}`;
    return failed(course, saying("model_bad_reply", course, what));
  }
  if (reason === "tool-calls" && collected.toolCalls.length === 0) {
    return failed(course, saying("model_bad_reply", course, "ended with tool calls but made none"));
  }
  const asksTools = collected.toolCalls.length > 0;
  if (request.json !== undefined && !cut && !asksTools && parseOrNull(collected.text) === null) {
    const what = `was asked for JSON and answered: ${collected.text.slice(0, 200)}`;
    return failed(course, saying("model_bad_reply", course, what));
  }
  const providerData = keepPieces(course.dialect.name, collected.pieces);
  const now = course.clock.now();
  return {
    ok: true,
    reply: {
      text: collected.text,
      toolCalls: collected.toolCalls,
      reasoning: collected.reasoning,
      finish: cut ? "length" : asksTools ? "tool_calls" : "stop",
      usage,
      model: course.view.model ?? request.model,
      firstTokenMs: (collected.firstTokenAt ?? now) - course.startedAt,
      ms: now - course.startedAt,
      ...(providerData === undefined ? {} : { providerData }),
    },
  };
}

/** Nothing came that the protocol knows: an empty body is a stream cut short, anything else is not the provider. */
function silent(course: Course): Classified {
  const start = course.wire.head();
  if (start.trim() === "") return saying("model_truncated", course, "sent an empty answer");
  const what = "sent something that is not its protocol (is the base URL right?)";
  return { failure: failure("model_bad_reply", `${course.dialect.name} ${what}`, { start }) };
}

function saying(code: ErrorCode, course: Course, what: string): Classified {
  return { failure: failure(code, `${course.dialect.name} ${what}`) };
}

function contextOf(course: Course) {
  return {
    name: course.dialect.name,
    now: course.clock.now(),
    secrets: course.dialect.secrets,
    responded: course.wire.responded(),
  };
}

function failed(course: Course, why: Classified): ModelResult {
  const { usage } = course.view;
  return { ok: false, ...why, ...(usage === null ? {} : { usage }) };
}
