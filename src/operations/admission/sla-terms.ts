import { parseDuration } from "../../base/duration.ts";
import { type AdmissionRules, type ClassRules, classNamed, classOf } from "../../domain/admission-rules.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import type { Sla } from "../../domain/sla.ts";

export interface AskedTerms {
  /** Name of a priority class. */
  readonly class?: string;
  readonly priority?: number;
  /** Durations from now (`2h`) or moments (`2026-01-31T12:00:00Z`). */
  readonly deadline?: string;
  readonly startBy?: string;
}

export interface Terms {
  readonly priority: number;
  /** ms since the epoch. */
  readonly deadlineAt: number | null;
  readonly sla: Sla;
}

/** What a run is promised: what was asked for, else what its class says. `now` in ms since the epoch. */
export function termsOf(rules: AdmissionRules, asked: AskedTerms, now: number): Result<Terms> {
  const found = classAsked(rules, asked);
  if (!found.ok) return found;
  const own = found.value;
  const deadline = momentIn("deadline", asked.deadline, now);
  if (!deadline.ok) return deadline;
  const startBy = momentIn("start_by", asked.startBy, now);
  if (!startBy.ok) return startBy;
  const after = (ms: number | null) => (ms === null ? null : now + ms);
  return ok({
    priority: asked.priority ?? own.priority,
    deadlineAt: deadline.value ?? after(own.deadlineMs),
    sla: { class: own.name, startBy: startBy.value ?? after(own.startByMs), targetMs: own.targetMs },
  });
}

function classAsked(rules: AdmissionRules, asked: AskedTerms): Result<ClassRules> {
  const { class: name, priority } = asked;
  if (name !== undefined && priority !== undefined) {
    return fail(
      "invalid_request",
      "class and priority are both given; a class has a priority, name one of the two.",
      {
        field: "class",
      },
    );
  }
  const wanted = name ?? (priority === undefined ? rules.defaultClass : classOf(rules, priority));
  const found = classNamed(rules, wanted);
  if (found !== null) return ok(found);
  const names = rules.classes.map((one) => one.name);
  return fail(
    "invalid_request",
    `class is ${JSON.stringify(wanted.slice(0, 100))}; expected one of ${names.join(", ")}.`,
    { field: "class", expected: names },
  );
}

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i;

/** `field` is what it is called in the request. */
function momentIn(field: string, text: string | undefined, now: number): Result<number | null> {
  if (text === undefined) return ok(null);
  const span = parseDuration(text);
  const at = span === null ? (MOMENT.test(text) ? Date.parse(text) : Number.NaN) : now + span;
  if (!Number.isSafeInteger(Math.round(at))) {
    return fail(
      "invalid_request",
      `${field} is ${JSON.stringify(text)}; expected a duration like "2h" or a moment like "2026-01-31T12:00:00Z".`,
      { field },
    );
  }
  if (at <= now) {
    return fail("invalid_request", `${field} ${JSON.stringify(text)} has passed; name one that lies ahead.`, {
      field,
    });
  }
  return ok(Math.round(at));
}
