import { setTimeout } from "node:timers/promises";

const LOOK_EVERY_MS = 10;

/** For what no event tells of: looks again and again until `look` gives something other than null, up to `withinMs`. */
export async function until<T>(
  what: string,
  look: () => T | null | Promise<T | null>,
  withinMs = 10_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    const found = await look();
    if (found !== null) return found;
    await setTimeout(LOOK_EVERY_MS);
  }
  throw new Error(`not within ${withinMs} ms: ${what}`);
}
