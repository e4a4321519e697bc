import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../base/clock.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Fleet, Member } from "./fleet.ts";
import type { Candidate, Leaders } from "./leader.ts";
import { type ManualClock, manualClock, START } from "./run-store-suite/fixtures.suite.ts";

/** What two processes of one database see, under one clock that also counts their ticks. */
export interface FleetUnderTest {
  readonly fleet: Fleet;
  readonly leaders: Leaders;
  /** As the second process has them. */
  readonly others: { readonly fleet: Fleet; readonly leaders: Leaders };
  close(): Promise<void>;
}

export interface FleetMaker {
  readonly name: string;
  /** Whether it can tell that a process of this host is gone. */
  readonly knowsProcesses: boolean;
  /** Whether nothing but the lease guards a lead; a lock of its connection goes with the connection only. */
  readonly leaseAlone: boolean;
  open(clock: Clock): Promise<FleetUnderTest>;
}

/** No system gives out so high a number. */
const NOBODY_PID = 2_147_483_646;

export function member(id: string, over: Partial<Member> = {}): Member {
  return {
    id,
    host: hostname(),
    pid: process.pid,
    processStart: "",
    version: "1.2.3",
    roles: ["http", "worker"],
    labels: ["os=linux", "gpu"],
    slots: 8,
    held: 3,
    draining: false,
    ...over,
  };
}

function candidate(name: string, over: Partial<Candidate> = {}): Candidate {
  return { member: name, host: hostname(), pid: process.pid, processStart: "", ...over };
}

/** What every fleet and every election does. */
export function fleetSuite(maker: FleetMaker): void {
  let clock: ManualClock;
  let under: FleetUnderTest;
  beforeEach(async () => {
    clock = manualClock();
    under = await maker.open(clock);
  });
  afterEach(async () => under.close());

  describe(`fleet: ${maker.name}`, () => {
    it("knows who reported, to all processes, until they leave", async () => {
      expect(await under.fleet.report(member("m1"))).toEqual({
        now: START,
        wishes: { slots: null, reloadNo: 0 },
      });
      clock.advance(500);
      await under.others.fleet.report(member("m2", { roles: ["services"], labels: [], slots: 0, held: 0 }));
      expect(await under.others.fleet.members()).toEqual([
        { ...member("m1"), joinedAt: START, silentMs: 500 },
        {
          ...member("m2", { roles: ["services"], labels: [], slots: 0, held: 0 }),
          joinedAt: START + 500,
          silentMs: 0,
        },
      ]);
      await under.fleet.leave("m1");
      await under.fleet.leave("m1");
      expect((await under.fleet.members()).map(({ id }) => id)).toEqual(["m2"]);
    });

    it("a later report replaces what was told, not when it joined", async () => {
      await under.fleet.report(member("m1"));
      clock.advance(1_000);
      await under.fleet.report(member("m1", { held: 0, draining: true, slots: 2 }));
      expect(await under.fleet.members()).toMatchObject([
        { held: 0, draining: true, slots: 2, joinedAt: START, silentMs: 0 },
      ]);
    });

    it("a member that says nothing for a minute is none any more", async () => {
      await under.fleet.report(member("m1"));
      clock.advance(LIMITS.memberSilentMs);
      expect(await under.fleet.members()).toMatchObject([{ silentMs: LIMITS.memberSilentMs }]);
      clock.advance(1);
      expect(await under.fleet.members()).toEqual([]);
      await under.fleet.report(member("m1"));
      expect(await under.fleet.members()).toHaveLength(1);
    });

    it("carries wishes to the member, each with a number of its own", async () => {
      await under.fleet.report(member("m1"));
      expect(await under.others.fleet.wish("m1", { slots: 3 })).toBe(true);
      const first = await under.fleet.report(member("m1"));
      expect(first.wishes.slots).toEqual({ no: expect.any(Number), value: 3 });
      expect(await under.others.fleet.wish("m1", { reload: true })).toBe(true);
      const second = await under.fleet.report(member("m1"));
      expect(second.wishes).toEqual({ slots: first.wishes.slots, reloadNo: first.wishes.reloadNo + 1 });
      await under.others.fleet.wish("m1", { slots: 3 });
      const third = await under.fleet.report(member("m1"));
      expect(third.wishes.slots?.no).not.toBe(first.wishes.slots?.no);
      expect(third.wishes.slots?.value).toBe(3);
    });

    it("a wish for nobody is told so", async () => {
      expect(await under.fleet.wish("m9", { slots: 3 })).toBe(false);
    });

    it("has one clock for all", async () => {
      clock.advance(77);
      expect(await under.fleet.now()).toBe(START + 77);
      expect(await under.others.fleet.now()).toBe(START + 77);
    });
  });

  describe(`leaders: ${maker.name}`, () => {
    const other = (over: Partial<Candidate> = {}) => candidate("m2", over);

    it("one leads, the other is told no, and each sees who", async () => {
      const lead = await under.leaders.stand("house", candidate("m1"));
      expect(lead).toMatchObject({ duty: "house", term: 1 });
      expect(lead?.held()).toBe(true);
      expect(await under.others.leaders.stand("house", other())).toBeNull();
      const seen = [{ duty: "house", member: "m1", term: 1 }];
      expect(await under.leaders.leading()).toEqual(seen);
      expect(await under.others.leaders.leading()).toEqual(seen);
    });

    it("duties are apart from one another", async () => {
      await under.leaders.stand("house", candidate("m1"));
      expect(await under.others.leaders.stand("garden", other())).toMatchObject({ term: 1 });
      expect(await under.leaders.leading()).toHaveLength(2);
    });

    it("who resigns is followed at once, with a higher term", async () => {
      const lead = await under.leaders.stand("house", candidate("m1"));
      await lead?.resign();
      expect(lead?.held()).toBe(false);
      expect(await lead?.renew()).toBe(false);
      expect(await under.leaders.leading()).toEqual([]);
      expect(await under.others.leaders.stand("house", other())).toMatchObject({ term: 2 });
      expect(await under.leaders.stand("house", candidate("m1"))).toBeNull();
    });

    it("lasts while it is renewed", async () => {
      const lead = await under.leaders.stand("house", candidate("m1"));
      for (let round = 0; round < 6; round += 1) {
        clock.advance(LIMITS.leadTtlMs / 2);
        expect(await lead?.renew()).toBe(true);
      }
      expect(await under.others.leaders.stand("house", other())).toBeNull();
    });

    it("who does not renew knows that it is over, before it can be another's", async () => {
      const lead = await under.leaders.stand("house", candidate("m1"));
      clock.advance(LIMITS.leadTtlMs);
      expect(lead?.held()).toBe(false);
      expect(await lead?.renew()).toBe(false);
    });

    it("stands again after its own time ran out, with a new term", async () => {
      const lead = await under.leaders.stand("house", candidate("m1"));
      clock.advance(LIMITS.leadTtlMs - 1);
      const again = await under.leaders.stand("house", candidate("m1"));
      expect(again).toMatchObject({ term: 2 });
      expect(again?.held()).toBe(true);
      expect(await lead?.renew()).toBe(false);
    });

    it.skipIf(!maker.leaseAlone)("what nobody renews is another's when its time is over", async () => {
      await under.leaders.stand("house", candidate("m1"));
      clock.advance(LIMITS.leadTtlMs - 1);
      expect(await under.others.leaders.stand("house", other())).toBeNull();
      clock.advance(1);
      expect(await under.others.leaders.stand("house", other())).toMatchObject({ term: 2 });
    });

    it.skipIf(!maker.leaseAlone || !maker.knowsProcesses)(
      "a leader whose process is gone from this host is followed at once, from elsewhere in time",
      async () => {
        const away = { pid: NOBODY_PID, host: "elsewhere" };
        await under.leaders.stand("house", candidate("m1", away));
        expect(await under.others.leaders.stand("house", other())).toBeNull();
        await under.leaders.stand("garden", candidate("m1", { pid: NOBODY_PID }));
        expect(await under.others.leaders.stand("garden", other())).toMatchObject({ term: 2 });
      },
    );
  });
}
