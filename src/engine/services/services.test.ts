import { beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../../../tests/support/manual-clock.ts";
import { createMemoryFleet, createMemoryLeaders } from "../../adapters/store/memory/fleet.ts";
import type { Member } from "../../contracts/fleet.ts";
import type { Leaders } from "../../contracts/leader.ts";
import type { Chore } from "../../contracts/service.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { createLeadership } from "./leadership.ts";
import { createMembership } from "./membership.ts";
import { pruner } from "./pruner.ts";

let clock: ManualClock;
let told: string[];
const log = {
  debug() {},
  info: (_: object, message: string) => void told.push(message),
  warn: (_: object, message: string) => void told.push(message),
  error: (_: object, message: string) => void told.push(message),
};
beforeEach(() => {
  clock = new ManualClock();
  told = [];
});

describe("leadership", () => {
  const candidate = (member: string) => ({ member, host: "h", pid: 1, processStart: "" });

  function stand(member: string, leaders: Leaders) {
    let rounds = 0;
    const chore: Chore = {
      name: "count",
      everyMs: 100,
      runOnce: async () => {
        rounds += 1;
      },
    };
    const parts = { leaders, clock, log, duty: "house", candidate: candidate(member), chores: [chore] };
    return { leadership: createLeadership(parts), rounds: () => rounds };
  }

  it("does the chores while it leads, and no other does", async () => {
    const leaders = createMemoryLeaders(clock);
    const [first, second] = [stand("a", leaders), stand("b", leaders)];
    first.leadership.start();
    first.leadership.start();
    await clock.advance(10);
    second.leadership.start();
    await clock.advance(5_000);
    expect([first.leadership.leads(), second.leadership.leads()]).toEqual([true, false]);
    expect(first.rounds()).toBeGreaterThan(30);
    expect(second.rounds()).toBe(0);
    await clock.run(first.leadership.stop());
    const before = first.rounds();
    await clock.advance(LIMITS.leadRenewMs + 200);
    expect([first.leadership.leads(), second.leadership.leads()]).toEqual([false, true]);
    expect(first.rounds()).toBe(before);
    expect(second.rounds()).toBeGreaterThan(0);
    await clock.run(second.leadership.stop());
  });

  it("leads on for as long as it is sure when nobody can tell, then stops the chores", async () => {
    const leaders = createMemoryLeaders(clock);
    let away = false;
    const gone = () => {
      if (away) throw new FailureError(failure("unavailable", "no database"));
    };
    const patchy: Leaders = {
      leading: () => leaders.leading(),
      async stand(duty, who) {
        gone();
        const lead = await leaders.stand(duty, who);
        if (lead === null) return null;
        const renew = async () => {
          gone();
          return lead.renew();
        };
        return { duty, term: lead.term, held: () => lead.held(), renew, resign: () => lead.resign() };
      },
    };
    const { leadership, rounds } = stand("a", patchy);
    leadership.start();
    await clock.advance(1_500);
    away = true;
    await clock.advance(LIMITS.leadTtlMs - 1_500);
    expect(leadership.leads()).toBe(true);
    await clock.advance(LIMITS.leadTtlMs);
    expect(leadership.leads()).toBe(false);
    const before = rounds();
    await clock.advance(2_000);
    expect(rounds()).toBe(before);
    expect(told).toContain("no longer leads");
    away = false;
    await clock.advance(LIMITS.leadRenewMs * 2);
    expect(leadership.leads()).toBe(true);
    expect(rounds()).toBeGreaterThan(before);
    await clock.run(leadership.stop());
  });
});

describe("membership", () => {
  it("tells of this process, grants each wish once, and looks at the database's clock", async () => {
    const fleet = createMemoryFleet(clock);
    const member: Member = {
      id: "m1",
      host: "h",
      pid: 1,
      processStart: "",
      version: "1",
      roles: ["worker"],
      labels: [],
      slots: 4,
      held: 0,
      draining: false,
    };
    const granted: unknown[] = [];
    const looks: number[] = [];
    const membership = createMembership({
      fleet,
      clock,
      log,
      ticks: () => clock.now(),
      member: () => member,
      onLook: ({ said }) => void looks.push(said),
      onSlots: (slots) => void granted.push(slots),
      onReload: () => void granted.push("reload"),
    });
    membership.start();
    await clock.advance(10);
    expect(await fleet.members()).toMatchObject([{ id: "m1" }]);
    await fleet.wish("m1", { slots: 9 });
    await clock.advance(LIMITS.beatMs * 3);
    expect(granted).toEqual([9]);
    await fleet.wish("m1", { reload: true });
    await fleet.wish("m1", { slots: 9 });
    await clock.advance(LIMITS.beatMs * 3);
    expect(granted).toEqual([9, 9, "reload"]);
    expect(looks.length).toBeGreaterThan(5);
    await clock.run(membership.stop());
    expect(await fleet.members()).toEqual([]);
  });
});

describe("pruner", () => {
  it("deletes in small steps what ended longer ago than it is kept, and nothing when all is kept", async () => {
    let kept: number | null = null;
    let left = 250;
    const asked: number[] = [];
    const store = {
      prune: async (before: number, limit: number) => {
        asked.push(before);
        const pruned = Math.min(left, limit);
        left -= pruned;
        return pruned;
      },
    };
    const chore = pruner({ store, clock, log, retentionMs: () => kept });
    await chore.runOnce();
    expect(asked).toEqual([]);
    kept = 60_000;
    await chore.runOnce();
    expect(left).toBe(0);
    expect(new Set(asked)).toEqual(new Set([clock.now() - 60_000]));
    expect(told).toEqual(["deleted runs that had ended long ago"]);
  });
});
