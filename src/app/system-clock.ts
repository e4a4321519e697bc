import type { Clock } from "../base/clock.ts";

/** setTimeout takes no more than a signed 32-bit number of ms; longer waits are made of several. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** ms from anywhere that only grow, whatever becomes of the wall clock. */
export const ticks = (): number => performance.now();

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, wake) {
    let left = ms;
    let timer: NodeJS.Timeout;
    const arm = () => {
      const part = Math.min(left, MAX_TIMEOUT_MS);
      left -= part;
      timer = setTimeout(left > 0 ? arm : wake, part);
    };
    arm();
    return () => clearTimeout(timer);
  },
};
