import { z } from "zod";
import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import { clip, nearest } from "../../base/text.ts";
import type { Tool, ToolContext, ToolOutput } from "../../contracts/tool.ts";
import type { EffectClass } from "../../domain/effect.ts";
import { type ErrorCode, FailureError, fail, failure, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { codeOf } from "./workspace-files.ts";

const SHOWN_VALUE_CHARS = 80;
/** Left for the mark that `clip` puts into the cut. */
const CUT_MARK_CHARS = 60;

type Fields = Readonly<Record<string, z.ZodType>>;
type InputOf<F extends Fields> = z.infer<z.ZodObject<F>>;

export interface ToolSpec<F extends Fields> {
  readonly name: string;
  readonly description: string;
  /** Flat; their order is the order that the model sees. Each one is described. */
  readonly fields: F;
  readonly effect: EffectClass;
  readonly risk: Tool["risk"];
  readonly readOnly: boolean;
  readonly run: (input: InputOf<F>, context: ToolContext) => Promise<ToolOutput>;
  readonly recover?: (input: InputOf<F>, context: ToolContext) => Promise<ToolOutput | null>;
}

/**
 * A tool that keeps the contract whatever its code does: the input is checked first, every throw becomes an
 * output that says what to do, and no output is longer than the limit.
 */
export function defineTool<F extends Fields>(spec: ToolSpec<F>): Tool {
  const { name, description, effect, risk, readOnly, recover } = spec;
  const guarded = async <T extends ToolOutput | null>(
    raw: Json,
    context: ToolContext,
    act: (input: InputOf<F>, context: ToolContext) => Promise<T>,
  ): Promise<T | ToolOutput> => {
    const input = parseInput(spec, raw);
    if (!input.ok) return refusal(input.failure.code, input.failure.message);
    try {
      context.signal.throwIfAborted();
      const output = await act(input.value, context);
      return output === null ? output : { ...output, text: fitted(output.text) };
    } catch (error) {
      return outputOf(error, context.signal);
    }
  };
  return {
    name,
    description,
    input: schemaOf(spec.fields),
    effect,
    risk,
    readOnly,
    execute: (input, context) => guarded(input, context, spec.run),
    ...(recover === undefined ? {} : { recover: (input, context) => guarded(input, context, recover) }),
  };
}

export function said(text: string, extra: Omit<ToolOutput, "isError" | "text"> = {}): ToolOutput {
  return { isError: false, text, ...extra };
}

export function refusal(code: string, message: string, data: JsonObject = {}): ToolOutput {
  return { isError: true, text: fitted(message), data: { code, ...data } };
}

/** For code deep inside a tool: ends the call with a message for the model. */
export function refuse(message: string, code: ErrorCode = "tool_failed"): never {
  throw new FailureError(failure(code, message));
}

/** Within the limit of one output, cut in the middle where it must be, and visibly. */
export function fitted(text: string, maxChars: number = LIMITS.toolOutputChars): string {
  const whole = text.toWellFormed();
  return whole.length <= maxChars ? whole : clip(whole, maxChars - CUT_MARK_CHARS).text.toWellFormed();
}

/**
 * Types, choices and words only: what every provider takes. Bounds stand in the descriptions and are checked here;
 * the strict modes of some providers refuse a schema that holds them.
 */
function schemaOf(fields: Fields): JsonObject {
  const whole = z.toJSONSchema(z.strictObject(fields)) as JsonObject;
  const properties: Record<string, Json> = {};
  for (const [name, field] of Object.entries(whole.properties as Readonly<Record<string, JsonObject>>)) {
    const { type, description, enum: choices } = field;
    properties[name] = {
      type: type ?? "string",
      description: description ?? "",
      ...(choices === undefined ? {} : { enum: choices }),
    };
  }
  return { type: "object", properties, required: whole.required ?? [], additionalProperties: false };
}

function parseInput<F extends Fields>(spec: ToolSpec<F>, raw: Json): Result<InputOf<F>> {
  const names = Object.keys(spec.fields);
  const wrong = (message: string): Result<never> => fail("tool_invalid_input", `${spec.name}: ${message}`);
  const given = typeof raw === "string" ? parsedText(raw) : raw;
  if (!isJsonObject(given)) {
    return wrong(`the input must be an object with ${names.map(quoted).join(", ")}; it is ${shown(given)}.`);
  }
  const parsed = z.strictObject(spec.fields).safeParse(lenient(spec.fields, given));
  if (parsed.success) return ok(parsed.data as InputOf<F>);
  const issue = parsed.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    const written = issue.keys[0] ?? "";
    const meant = nearest(written, names);
    const help =
      meant === null
        ? `Its arguments are ${names.map(quoted).join(", ")}.`
        : `Did you mean ${quoted(meant)}?`;
    return wrong(`${quoted(written)} is not an argument. ${help}`);
  }
  const field = String(issue?.path[0] ?? "");
  const about = spec.fields[field]?.description ?? "";
  if (!Object.hasOwn(given, field)) return wrong(`${quoted(field)} is missing. It is: ${about}`);
  const problem = issue?.message.replace(/^Invalid (input|option): /, "").toLowerCase() ?? "not valid";
  return wrong(`${quoted(field)} is ${shown(given[field])}: ${problem}. It is: ${about}`);
}

/** What models write for a number, a flag or nothing, where it can mean only one thing. */
function lenient(fields: Fields, given: JsonObject): JsonObject {
  const result: Record<string, Json> = {};
  for (const [name, value] of Object.entries(given)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (value === null && field?.safeParse(undefined).success === true) continue;
    const reread =
      typeof value === "string" && field?.safeParse(value).success === false ? parsedText(value) : value;
    result[name] = typeof reread === "number" || typeof reread === "boolean" ? reread : value;
  }
  return result;
}

function parsedText(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

function outputOf(error: unknown, signal: AbortSignal): ToolOutput {
  if (error instanceof FailureError) return refusal(error.failure.code, error.failure.message);
  if (signal.aborted) return refusal("canceled", "The call was canceled.");
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  if (code === "ENOSPC" || code === "EDQUOT")
    return refusal("disk_full", "No space is left on the disk; nothing was written.");
  if (code === "EROFS") return refusal("read_only", "The workspace is read-only.");
  if (code === "EACCES" || code === "EPERM")
    return refusal("tool_failed", `The system does not permit it: ${message}.`);
  if (code === "ENOTDIR") return refusal("tool_failed", "A part of the path is a file, not a folder.");
  if (code === "ENOENT") return refusal("tool_failed", "The file or folder vanished while it was used.");
  return refusal("internal", `The tool failed: ${message}`);
}

function quoted(name: string): string {
  return `\`${name}\``;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= SHOWN_VALUE_CHARS ? text : `${text.slice(0, SHOWN_VALUE_CHARS)}…`.toWellFormed();
}
