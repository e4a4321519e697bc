import type { House } from "../app/house.ts";
import { formatDuration } from "../base/duration.ts";
import { type CommonOptions, configOf } from "./connect.ts";
import { onReload, onStop } from "./interrupts.ts";
import { readSettings } from "./settings-file.ts";
import type { Terminal } from "./terminal.ts";
import { plural } from "./text.ts";

/** Options of the commands that stay. */
export interface ServeOptions {
  readonly slots?: number;
  readonly envFile?: string;
  /** For a process that must not outlive the one that started it. */
  readonly untilStdinEnds?: boolean;
}

/**
 * Works until the first Ctrl-C or SIGTERM, then drains; the second one ends the process at once. SIGHUP reads the
 * number of slots again.
 */
export async function workUntilStopped(of: {
  readonly house: House;
  readonly terminal: Terminal;
  readonly common: CommonOptions;
  readonly options: ServeOptions;
  /** Says that it works; called when signals are heard already, as whoever reads it may send one. */
  readonly announce: () => void;
  /** Closes the doors, before the house drains. */
  readonly close: () => Promise<void>;
}): Promise<void> {
  const { house, terminal, options } = of;
  const letGo = onReload(() => void reload(of));
  const stopped = Promise.withResolvers<void>();
  onStop(() => stopped.resolve());
  if (options.untilStdinEnds) process.stdin.once("close", () => stopped.resolve()).resume();
  of.announce();
  await stopped.promise;
  letGo();
  const { held } = house.worker;
  const wait = `up to ${formatDuration(house.config.drainMs)}`;
  terminal.say(
    held === 0
      ? "stopping"
      : `stopping; the steps of ${plural(held, "run")} get ${wait}, then go on elsewhere or later`,
  );
  await of.close();
  await house.close();
  if (options.untilStdinEnds) process.stdin.destroy();
}

async function reload(of: {
  readonly house: House;
  readonly terminal: Terminal;
  readonly common: CommonOptions;
  readonly options: ServeOptions;
}): Promise<void> {
  const { house, terminal, common, options } = of;
  try {
    const { AGENT_RUNNER_SLOTS } = await readSettings(options.envFile);
    const given = options.slots === undefined ? AGENT_RUNNER_SLOTS : String(options.slots);
    const { slots } = configOf(common, given === undefined ? {} : { AGENT_RUNNER_SLOTS: given });
    house.worker.resize(slots);
    terminal.say(`settings read again: ${plural(slots, "slot")}`);
  } catch (error) {
    terminal.say(`settings kept as they were: ${(error as Error).message}`);
  }
}
