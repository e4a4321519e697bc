import { parseDuration } from "../../base/duration.ts";
import type { Json } from "../../base/json.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { type Schedule, TRIGGERED, type Trigger } from "../../domain/schedule.ts";
import { asResult } from "../as-result.ts";
import { checkJson, checkText } from "../check-json.ts";
import type { Parts } from "../parts.ts";
import { findWorkflow } from "../workflows/find-workflow.ts";

export interface AddSchedule {
  /** Name; its newest version is started each time. */
  readonly workflow: string;
  readonly cron: string;
  readonly timezone?: string;
  readonly catchUp?: Trigger["catchUp"];
  /** A duration. */
  readonly jitter?: string;
  readonly overlap?: Trigger["overlap"];
  readonly inputs: Json;
  readonly title?: string;
  readonly priority?: number;
  readonly by: string;
}

type Needs = Pick<Parts, "clock" | "newId" | "workflows" | "checkInputs" | "schedules" | "calendar">;

/** Makes a schedule that begins now. Nothing is accepted that could not be started later for its shape. */
export function addSchedule(parts: Needs, wanted: AddSchedule): Promise<Result<Schedule>> {
  return asResult(async () => {
    const jitter = jitterOf(wanted.jitter);
    if (!jitter.ok) return jitter;
    const timezone = wanted.timezone ?? "UTC";
    const cron = wanted.cron.trim().replaceAll(/\s+/g, " ");
    const problem = parts.calendar.check(cron, timezone);
    if (problem !== null) {
      return fail("invalid_request", `${problem.field}: ${problem.message}.`, { field: problem.field });
    }
    const inputs = await checkWork(parts, wanted);
    if (!inputs.ok) return inputs;
    const at = parts.clock.now();
    const schedule: Schedule = {
      id: parts.newId("sch"),
      workflow: wanted.workflow,
      origin: "api",
      spec: {
        cron,
        timezone,
        catchUp: wanted.catchUp ?? "last",
        jitterMs: jitter.value,
        overlap: wanted.overlap ?? "skip",
        inputs: inputs.value,
        ...TRIGGERED,
        ...(wanted.priority === undefined ? {} : { priority: wanted.priority }),
        ...(wanted.title === undefined ? {} : { title: wanted.title }),
      },
      status: "active",
      createdAt: at,
      createdBy: wanted.by,
      cursorAt: at,
      nextAt: at,
    };
    if (!(await parts.schedules.add(schedule))) return fail("conflict", `A schedule ${schedule.id} exists.`);
    return ok(schedule);
  });
}

async function checkWork(
  parts: Needs,
  { workflow: name, inputs, title }: AddSchedule,
): Promise<Result<Json>> {
  const size = checkJson("inputs", inputs, LIMITS.requestBytes);
  if (!size.ok) return size;
  if (title !== undefined) {
    const text = checkText("title", title, LIMITS.titleChars);
    if (!text.ok) return text;
  }
  const found = await findWorkflow(parts, name);
  if (!found.ok) return found;
  const { workflow } = found.value;
  if (workflow.name !== name) {
    const message = `workflow is ${JSON.stringify(name)}; expected a name, as the newest version is started each time.`;
    return fail("invalid_request", message, { field: "workflow" });
  }
  const checked = parts.checkInputs(workflow, inputs);
  // As they were given: later defaults are those of a later version.
  return checked.ok ? ok(inputs) : checked;
}

function jitterOf(text: string | undefined): Result<number> {
  const ms = text === undefined ? 0 : parseDuration(text);
  if (ms !== null && ms <= LIMITS.scheduleJitterMs) return ok(ms);
  const message = `jitter is ${JSON.stringify(text)}; expected a duration of at most 24h, like "5m".`;
  return fail("invalid_request", message, { field: "jitter" });
}
