import { World } from "./world.ts";

const MAX_STEPS = 60_000;
const FAULTY_STEPS = 400;

/**
 * One whole life of a small installation under one seed: runs of every shape, two processes, crashes, lost leases,
 * wrong clocks, people. Then the faults stop and everything must come to its end. Returns what was broken.
 */
export async function simulate(
  seed: number,
): Promise<{ readonly broken: readonly string[]; readonly crashes: number; readonly runs: number }> {
  const world = new World(seed);
  await world.setUp(4);
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const faulty = steps < FAULTY_STEPS;
    if (faulty && world.random() < 0.02) world.fault();
    if (world.random() < (faulty ? 0.03 : 0.01)) await world.people();
    const more = await world.scheduler.step();
    await world.observe();
    if (world.broken.length > 0) break;
    if (!faulty && steps % 200 === 0) {
      await world.resumeAll();
      if ((await world.open()).length === 0) break;
    }
    if (!more) break;
  }
  const open = world.broken.length > 0 ? [] : await world.open();
  for (const run of open) world.broken.push(`never ended: ${run}`);
  if (world.broken.length === 0) await world.finalChecks();
  return { broken: world.broken, crashes: world.crashes, runs: world.runs.length };
}
