import type { Clock } from "../../../base/clock.ts";
import type { Fleet, Member, Wishes } from "../../../contracts/fleet.ts";
import type { Lead, Leaders } from "../../../contracts/leader.ts";
import { LIMITS } from "../../../domain/limits.ts";

interface Known {
  member: Member;
  readonly joinedAt: number;
  seenAt: number;
  wishes: Wishes;
}

/** The members of one process's own world. */
export function createMemoryFleet(clock: Clock): Fleet {
  const known = new Map<string, Known>();
  const isSilent = ({ seenAt }: Known) => clock.now() - seenAt > LIMITS.memberSilentMs;
  return {
    now: async () => clock.now(),
    async report(member) {
      const now = clock.now();
      const before = known.get(member.id);
      const wishes = before?.wishes ?? { slots: null, reloadNo: 0 };
      known.set(member.id, { member, joinedAt: before?.joinedAt ?? now, seenAt: now, wishes });
      return { now, wishes };
    },
    async leave(id) {
      known.delete(id);
    },
    async members() {
      const all = [...known.values()].filter((one) => !isSilent(one));
      all.sort((a, b) => a.joinedAt - b.joinedAt || (a.member.id < b.member.id ? -1 : 1));
      return all.map(({ member, joinedAt, seenAt }) => ({
        ...member,
        joinedAt,
        silentMs: clock.now() - seenAt,
      }));
    },
    async wish(id, { slots, reload }) {
      const one = known.get(id);
      if (one === undefined) return false;
      const { wishes } = one;
      const no = (wishes.slots?.no ?? 0) + 1;
      one.wishes = {
        slots: slots === undefined ? wishes.slots : { no, value: slots },
        reloadNo: wishes.reloadNo + Number(reload === true),
      };
      return true;
    },
  };
}

export function createMemoryLeaders(clock: Clock): Leaders {
  const duties = new Map<string, { term: number; member: string; until: number }>();
  const until = () => clock.now() + LIMITS.leadTtlMs;
  return {
    async stand(duty, { member }) {
      const row = duties.get(duty);
      if (row !== undefined && row.until > clock.now() && row.member !== member) return null;
      const mine = { term: (row?.term ?? 0) + 1, member, until: until() };
      duties.set(duty, mine);
      const held = () => duties.get(duty) === mine && mine.until > clock.now();
      const lead: Lead = {
        duty,
        term: mine.term,
        held,
        async renew() {
          if (!held()) return false;
          mine.until = until();
          return true;
        },
        async resign() {
          mine.until = 0;
        },
      };
      return lead;
    },
    async leading() {
      const now = [...duties]
        .filter(([, row]) => row.until > clock.now())
        .sort(([a], [b]) => (a < b ? -1 : 1));
      return now.map(([duty, { member, term }]) => ({ duty, member, term }));
    },
  };
}
