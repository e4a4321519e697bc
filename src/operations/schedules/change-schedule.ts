import { fail, ok, type Result } from "../../domain/errors.ts";
import type { Schedule } from "../../domain/schedule.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { type ScheduleView, unknownSchedule, viewOf } from "./list-schedules.ts";

/**
 * Pauses, resumes or removes a schedule; who did is kept. One of a workflow's file cannot be removed, as the next
 * version with it would bring it back: it is paused, or taken out of the file.
 */
export function changeSchedule(
  parts: Pick<Parts, "clock" | "schedules" | "calendar">,
  id: string,
  to: { readonly status: Schedule["status"]; readonly by: string },
): Promise<Result<ScheduleView>> {
  return asResult(async () => {
    const known = await parts.schedules.byId(id);
    if (known === null) return unknownSchedule(id);
    if (to.status === "removed" && known.status === "removed") return ok({ schedule: known, ahead: [] });
    if (to.status === "removed" && known.origin === "workflow") {
      const message = `Schedule ${id} stands in the workflow ${known.workflow}: pause it, or take it out of the file.`;
      return fail("conflict", message, { schedule: id, workflow: known.workflow });
    }
    const changed = await parts.schedules.change(id, { ...to, at: parts.clock.now() });
    if (changed === null) return fail("conflict", `Schedule ${id} was removed.`, { schedule: id });
    return ok(viewOf(parts, changed, 1));
  });
}
