import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import type { Reloaded } from "./steering.ts";

type Known = Pick<Parts, "fleet">;

/** Has a member drive another number of runs at a time, within a second or two. Fewer ends none that has begun. */
export function resizeMember(
  parts: Known,
  of: { readonly id: string; readonly slots: number },
): Promise<Result<null>> {
  return asResult(async () => {
    const { id, slots } = of;
    if (!Number.isInteger(slots) || slots < 1 || slots > LIMITS.mostSlots) {
      const message = `slots is ${slots}; expected a whole number from 1 to ${LIMITS.mostSlots}.`;
      return fail("invalid_request", message, { field: "slots" });
    }
    const member = (await parts.fleet.members()).find((one) => one.id === id);
    if (member !== undefined && !member.roles.includes("worker")) {
      const message = `${id} drives no runs; its roles are ${member.roles.join(", ")}.`;
      return fail("conflict", message, { worker: id });
    }
    const known = member !== undefined && (await parts.fleet.wish(id, { slots }));
    return known ? ok(null) : unknown(id);
  });
}

/** Has a member read its settings again; what changes, its log says. */
export function reloadMember(parts: Known, id: string): Promise<Result<null>> {
  return asResult(async () => ((await parts.fleet.wish(id, { reload: true })) ? ok(null) : unknown(id)));
}

/** Has this process read its settings again. */
export async function reloadHere(parts: Pick<Parts, "steering">): Promise<Result<Reloaded>> {
  if (parts.steering === undefined) return fail("conflict", "This process has no settings to read again.");
  return parts.steering.reload();
}

function unknown(id: string): Result<never> {
  const shown = JSON.stringify(id.slice(0, 100));
  return fail("not_found", `There is no worker ${shown}; GET /v1/workers lists them.`, {
    worker: id.slice(0, 100),
  });
}
