import { canonicalJson, type Json, type JsonObject } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Trigger } from "../../domain/schedule.ts";
import { createCalendar } from "./calendar.ts";
import { compileSchema, valueProblems } from "./json-schema.ts";
import { milliseconds } from "./normalise.ts";
import type { Report } from "./report.ts";
import type { WorkflowShape } from "./shape.ts";

const calendar = createCalendar();
const FIVE_FIELDS = "minute, hour, day of month, month, day of week, e.g. `0 3 * * *`";
const ZONE = "an IANA name, e.g. Europe/Berlin";

/** `on.schedule` of a file; `schema` is of the workflow's inputs, `null` when that is not usable itself. */
export function readTriggers(
  written: WorkflowShape["on"],
  schema: JsonObject | null,
  report: Report,
): readonly Trigger[] {
  const seen = new Set<string>();
  return (written?.schedule ?? []).map((one, index) => {
    const path = ["on", "schedule", index];
    const trigger: Trigger = {
      cron: one.cron.trim().replaceAll(/\s+/g, " "),
      timezone: one.timezone ?? "UTC",
      catchUp: one.catch_up ?? "last",
      jitterMs: one.jitter === undefined ? 0 : milliseconds(one.jitter),
      overlap: one.overlap ?? "skip",
      inputs: (one.inputs ?? {}) as Json,
    };
    const problem = calendar.check(trigger.cron, trigger.timezone);
    if (problem !== null) {
      const expected = problem.field === "cron" ? FIVE_FIELDS : ZONE;
      const candidates = problem.field === "cron" ? [] : Intl.supportedValuesOf("timeZone");
      const name = problem.field === "cron" ? undefined : trigger.timezone;
      report.error({ path: [...path, problem.field], message: problem.message, expected, name, candidates });
    }
    if (trigger.jitterMs > LIMITS.scheduleJitterMs) {
      report.error({
        path: [...path, "jitter"],
        message: `${one.jitter} is too long`,
        expected: "at most 24h",
      });
    }
    checkInputs(trigger.inputs, { path: [...path, "inputs"], schema, report });
    const content = canonicalJson(trigger as unknown as Json);
    if (seen.has(content)) report.error({ path, message: "the same schedule stands above already" });
    seen.add(content);
    return trigger;
  });
}

/** Nobody is there to be told when it fires. */
function checkInputs(
  inputs: Json,
  of: {
    readonly path: readonly (string | number)[];
    readonly schema: JsonObject | null;
    readonly report: Report;
  },
): void {
  const compiled = of.schema === null ? null : compileSchema(of.schema, { defaults: true });
  if (!compiled?.ok) return;
  for (const problem of valueProblems(compiled.validate, structuredClone(inputs))) {
    of.report.error({ ...problem, path: [...of.path, ...problem.path] });
  }
}
