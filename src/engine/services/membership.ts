import type { Clock } from "../../base/clock.ts";
import type { Look } from "../../base/steady-clock.ts";
import type { Fleet, Member, Wishes } from "../../contracts/fleet.ts";
import type { Log } from "../../contracts/log.ts";
import type { Service } from "../../contracts/service.ts";
import { LIMITS } from "../../domain/limits.ts";
import { repeat } from "./repeat.ts";

export interface MembershipParts {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
  /** ms from anywhere, only growing. */
  readonly ticks: () => number;
  /** What this process has to tell of itself now. */
  readonly member: () => Member;
  /** Told what time the database has. */
  readonly onLook: (look: Look) => void;
  readonly onSlots: (slots: number) => void;
  readonly onReload: () => void;
}

/** Tells the others of this process, hears what they wish of it, and what time it is. */
export function createMembership(parts: MembershipParts): Service {
  const { fleet, log, ticks } = parts;
  let granted: Wishes = { slots: null, reloadNo: 0 };
  const grant = (wishes: Wishes) => {
    const before = granted;
    granted = wishes;
    if (wishes.slots !== null && wishes.slots.no !== before.slots?.no) parts.onSlots(wishes.slots.value);
    // A row that was lost and written anew begins at nothing.
    if (wishes.reloadNo !== before.reloadNo && wishes.reloadNo > 0) parts.onReload();
  };
  const round = repeat(parts, {
    name: "membership",
    everyMs: LIMITS.beatMs,
    runOnce: async () => {
      const asked = ticks();
      const { now, wishes } = await fleet.report(parts.member());
      parts.onLook({ asked, answered: ticks(), said: now });
      grant(wishes);
    },
  });
  return {
    ...round,
    async stop() {
      await round.stop();
      // Silence says the same a minute later.
      await fleet
        .leave(parts.member().id)
        .catch((error: unknown) => log.warn({ error: String(error) }, "could not take leave"));
    },
  };
}
