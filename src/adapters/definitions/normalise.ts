import { parseDuration } from "../../base/duration.ts";
import type { Json, JsonObject } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";
import { NO_RETRY, type RetryPolicy } from "../../domain/retry.ts";
import { parseTemplate } from "../../domain/template.ts";
import type { Foreach, OnFailure, StepSpec } from "../../domain/workflow.ts";
import type { Path, Report } from "./report.ts";
import type { StepShape } from "./shape.ts";

const DEFAULT_BACKOFF = NO_RETRY.backoff;

/** An expression without its `${{ }}`, and where it starts in the text as written. */
export interface Bare {
  readonly expression: string;
  readonly at: number;
}

/** A place for exactly one expression, written with or without `${{ }}`. `null` after a report. */
export function bareExpression(written: Json, path: Path, report: Report): Bare | null {
  if (typeof written !== "string") return { expression: JSON.stringify(written), at: 0 };
  if (written.trim() === "") {
    report.error({ path, message: "the expression is empty", expected: "an expression" });
    return null;
  }
  if (!written.includes("${{")) {
    return { expression: written.trim(), at: written.length - written.trimStart().length };
  }
  const lead = written.length - written.trimStart().length;
  const template = parseTemplate(written.trim());
  if (!template.ok) {
    report.error({ path, message: template.message, at: lead + template.offset, expected: "`${{ … }}`" });
    return null;
  }
  const [part] = template.parts;
  if (template.whole && part?.kind === "expression") {
    return { expression: part.expression, at: lead + part.offset };
  }
  const message = "one expression is expected here, not a text with expressions in it";
  report.error({ path, message, expected: "`${{ … }}` and nothing else; join texts with `+` inside it" });
  return null;
}

/** Milliseconds of a text that the shape has accepted as a duration. */
export function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}

export function retryOf(written: StepShape["retry"]): RetryPolicy {
  if (written === undefined) return NO_RETRY;
  if (typeof written === "number") return { maxAttempts: written, backoff: DEFAULT_BACKOFF };
  const { attempts, initial, factor, max, on } = written;
  const initialMs = initial === undefined ? DEFAULT_BACKOFF.initialMs : milliseconds(initial);
  const policy = {
    maxAttempts: attempts,
    backoff: {
      initialMs,
      factor: factor ?? DEFAULT_BACKOFF.factor,
      maxMs: max === undefined ? Math.max(initialMs, DEFAULT_BACKOFF.maxMs) : milliseconds(max),
    },
  };
  return on === undefined ? policy : { ...policy, retryable: on };
}

export function onFailureOf(written: StepShape["on_failure"]): OnFailure {
  if (written === undefined || written === "fail") return { kind: "fail" };
  return written === "continue" ? { kind: "continue" } : { kind: "run", step: written.run };
}

/** What a step says as written, with the places of its expressions. */
export interface ReadStep {
  readonly spec: StepSpec;
  readonly bare: readonly {
    readonly part: "if" | "foreach" | "outputs";
    readonly path: Path;
    readonly bare: Bare;
  }[];
}

export function readStep(written: StepShape, path: Path, report: Report): ReadStep {
  const bare: { part: "if" | "foreach" | "outputs"; path: Path; bare: Bare }[] = [];
  const read = (part: "if" | "foreach" | "outputs", value: Json, at: Path): string => {
    const found = bareExpression(value, at, report);
    if (found === null) return "null";
    bare.push({ part, path: at, bare: found });
    return found.expression;
  };
  const condition = written.if === undefined ? {} : { if: read("if", written.if, [...path, "if"]) };
  const foreach = foreachOf(written, path, read);
  const outputs: [string, string][] = Object.entries(written.outputs ?? {}).map(([name, value]) => [
    name,
    read("outputs", value, [...path, "outputs", name]),
  ]);
  const spec: StepSpec = {
    id: written.id,
    uses: written.uses,
    with: (written.with ?? {}) as JsonObject,
    needs: typeof written.needs === "string" ? [written.needs] : (written.needs ?? []),
    ...condition,
    retry: retryOf(written.retry),
    ...(written.timeout === undefined ? {} : { timeoutMs: milliseconds(written.timeout) }),
    ...(foreach === null ? {} : { foreach }),
    onFailure: onFailureOf(written.on_failure),
    ...(written.outputs === undefined ? {} : { outputs: Object.fromEntries(outputs) }),
  };
  return { spec, bare };
}

type ReadPart = (part: "foreach", value: Json, path: Path) => string;

function foreachOf(written: StepShape, path: Path, read: ReadPart): Foreach | null {
  const { foreach } = written;
  if (foreach === undefined) return null;
  const short = typeof foreach === "string" || Array.isArray(foreach);
  const items = short ? foreach : foreach.items;
  const place = short ? [...path, "foreach"] : [...path, "foreach", "items"];
  return {
    items: read("foreach", items as Json, place),
    maxParallel: (short ? undefined : foreach.max_parallel) ?? LIMITS.runParallelSteps,
    failFast: (short ? undefined : foreach.fail_fast) ?? true,
  };
}
