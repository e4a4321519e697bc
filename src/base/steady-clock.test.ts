import { describe, expect, it } from "vitest";
import { SteadyClock } from "./steady-clock.ts";

const HOUR = 3_600_000;

function clocks(wall = 1_000_000) {
  const state = { wall, ticks: 50, armed: [] as number[] };
  const local = {
    now: () => state.wall,
    after: (ms: number) => {
      state.armed.push(ms);
      return () => undefined;
    },
  };
  const steady = new SteadyClock({ local, ticks: () => state.ticks });
  return { state, steady };
}

describe("steady clock", () => {
  it("is the local clock's time until it has looked at another, and no jump of the wall clock moves it", () => {
    const { state, steady } = clocks();
    expect(steady.now()).toBe(1_000_000);
    state.wall += HOUR;
    state.ticks += 250.6;
    expect(steady.now()).toBe(1_000_250);
  });

  it("takes the other clock's time, whichever way its own is wrong", () => {
    for (const wrong of [HOUR, -HOUR]) {
      const { state, steady } = clocks(1_000_000 + wrong);
      const moved = steady.correct({ asked: 50, answered: 50, said: 1_000_000 });
      expect(Math.abs(moved + wrong)).toBeLessThanOrEqual(1);
      state.ticks += 10;
      expect(Math.abs(steady.now() - 1_000_010)).toBeLessThanOrEqual(1);
    }
  });

  it("does not tremble: an answer that could be true leaves it as it is", () => {
    const { steady } = clocks();
    expect(steady.correct({ asked: 40, answered: 60, said: 1_000_005 })).toBe(0);
    expect(steady.correct({ asked: 40, answered: 60, said: 999_995 })).toBe(0);
  });

  it("moves only as far as a slow answer proves", () => {
    const { steady } = clocks();
    // True somewhere between 40 and 60: at 60 at the latest, where the clock would say 1,000,010.
    expect(steady.correct({ asked: 40, answered: 60, said: 1_000_030 })).toBe(20);
    expect(steady.correct({ asked: 40, answered: 60, said: 1_000_000 })).toBe(-9);
  });

  it("stands still rather than go back a little", () => {
    const { state, steady } = clocks();
    expect(steady.now()).toBe(1_000_000);
    steady.correct({ asked: 50, answered: 50, said: 999_900 });
    expect(steady.now()).toBe(1_000_000);
    state.ticks += 150;
    expect(steady.now()).toBe(1_000_051);
  });

  it("steps back when standing still would take too long", () => {
    const { steady } = clocks();
    expect(steady.now()).toBe(1_000_000);
    steady.correct({ asked: 50, answered: 50, said: 1_000_000 - HOUR });
    expect(steady.now()).toBe(1_000_001 - HOUR);
  });

  it("waits by the local timers", () => {
    const { state, steady } = clocks();
    steady.after(77, () => undefined);
    expect(state.armed).toEqual([77]);
  });
});
