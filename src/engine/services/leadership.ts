import type { Clock } from "../../base/clock.ts";
import type { Candidate, Lead, Leaders } from "../../contracts/leader.ts";
import type { Log } from "../../contracts/log.ts";
import type { Chore, Service } from "../../contracts/service.ts";
import { LIMITS } from "../../domain/limits.ts";
import { repeat } from "./repeat.ts";

export interface LeadershipParts {
  readonly leaders: Leaders;
  readonly clock: Clock;
  readonly log: Log;
  readonly duty: string;
  readonly candidate: Candidate;
  /** Done while this process leads, and by no other at the same time. */
  readonly chores: readonly Chore[];
}

export interface Leadership extends Service {
  /** Whether this process leads at this moment. */
  leads(): boolean;
}

/** Stands for a duty again and again, and does its chores while it leads. */
export function createLeadership(parts: LeadershipParts): Leadership {
  const { leaders, log, duty, candidate } = parts;
  let lead: Lead | null = null;
  const leads = () => lead?.held() === true;
  const services = parts.chores.map((chore) =>
    repeat(parts, {
      ...chore,
      runOnce: async () => {
        if (leads()) await chore.runOnce();
      },
    }),
  );
  const lay = async () => {
    lead = null;
    await Promise.all(services.map((service) => service.stop()));
  };
  const isKept = async (kept: Lead): Promise<boolean> => {
    try {
      return await kept.renew();
    } catch (error) {
      // Nobody could tell: it lasts as long as it was sure to.
      log.warn({ duty, error: String(error) }, "a lead could not be renewed; trying again while it lasts");
      return kept.held();
    }
  };
  const round = repeat(parts, {
    name: `leadership:${duty}`,
    everyMs: LIMITS.leadRenewMs,
    runOnce: async () => {
      if (lead !== null) {
        if (await isKept(lead)) return;
        log.warn({ duty, term: lead.term }, "no longer leads");
        await lay();
      }
      lead = await leaders.stand(duty, candidate);
      if (lead === null) return;
      log.info({ duty, term: lead.term }, "leads now");
      for (const service of services) service.start();
    },
  });
  return {
    ...round,
    leads,
    async stop() {
      await round.stop();
      const held = lead;
      await lay();
      // What cannot be given up now is free when its time is over.
      await held
        ?.resign()
        .catch((error: unknown) => log.warn({ duty, error: String(error) }, "could not resign"));
    },
  };
}
