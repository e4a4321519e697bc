import type { MemberView } from "../../contracts/fleet.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

export interface FleetView {
  readonly members: readonly (MemberView & {
    /** Duties that it leads. */
    readonly leads: readonly string[];
    /** It is the process that was asked. */
    readonly self: boolean;
  })[];
}

/** The processes that work on this database, oldest first. */
export function listMembers(
  parts: Pick<Parts, "fleet" | "leaders" | "steering">,
): Promise<Result<FleetView>> {
  return asResult(async () => {
    const [members, leading] = await Promise.all([parts.fleet.members(), parts.leaders.leading()]);
    const view = members.map((member) => ({
      ...member,
      leads: leading.filter((one) => one.member === member.id).map(({ duty }) => duty),
      self: member.id === parts.steering?.member,
    }));
    return ok({ members: view });
  });
}
