import type { Config } from "../app/config.ts";
import type { House } from "../app/house.ts";
import { formatDuration } from "../base/duration.ts";
import type { Role } from "../contracts/fleet.ts";
import { FailureError, failure, ok, type Result } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import { type Cli, collect, wholeNumber } from "./command.ts";
import { type CommonOptions, configOf } from "./connect.ts";
import { EXIT } from "./exit.ts";
import { onReload, onStop } from "./interrupts.ts";
import { readSettings } from "./settings-file.ts";
import type { Terminal } from "./terminal.ts";
import { plural } from "./text.ts";

/** Options of the commands that stay. */
export interface ServeOptions {
  readonly slots?: number;
  readonly label?: readonly string[];
  readonly envFile?: string;
  /** For a process that must not outlive the one that started it. */
  readonly untilStdinEnds?: boolean;
}

/** After the time for steps: for the last writes, and for requests under way. */
const LAST_WRITES_MS = 15_000;

export function addServeOptions(command: ReturnType<Cli["program"]["command"]>): typeof command {
  return command
    .option("--slots <n>", "runs driven at the same time", wholeNumber(1, LIMITS.mostSlots))
    .option("--label <label>", "what it can do, for runs that need it; may be repeated", collect)
    .option("--env-file <file>", "settings as NAME=value lines; a reload reads them again");
}

/** The settings of the command line, the environment and the file, in this order; read anew each time. */
export function settingsSource(
  common: CommonOptions,
  options: ServeOptions,
  more: Readonly<Record<string, string>> = {},
): () => Promise<Config> {
  const { slots, label, envFile } = options;
  const given = {
    ...(slots === undefined ? {} : { AGENT_RUNNER_SLOTS: String(slots) }),
    ...(label === undefined ? {} : { AGENT_RUNNER_LABELS: label.join(",") }),
    ...more,
  };
  return async () => configOf(common, { ...(await readSettings(envFile)), ...given });
}

/** For a reload: a wrong setting is an answer. */
export function asReloaded(source: () => Promise<Config>): () => Promise<Result<Config>> {
  return async () => {
    try {
      return ok(await source());
    } catch (error) {
      const known = error instanceof FailureError ? error.failure : failure("invalid_config", String(error));
      return { ok: false, failure: known };
    }
  };
}

/**
 * Works until the first Ctrl-C or SIGTERM, then drains; the second one, or the end of the time for it, ends the
 * process at once. SIGHUP reads the settings again.
 */
export async function workUntilStopped(of: {
  readonly house: House;
  readonly terminal: Terminal;
  readonly options: ServeOptions;
  /** Says that it works; called when signals are heard already, as whoever reads it may send one. */
  readonly announce: () => void;
  /** Closes the doors, after the house has drained. */
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
  const late = setTimeout(() => {
    terminal.say("it did not end in time; nothing is lost: what was under way goes on elsewhere or later");
    process.exit(EXIT.failed);
  }, house.config.drainMs + LAST_WRITES_MS);
  await house.drain();
  await of.close();
  await house.close();
  clearTimeout(late);
  if (options.untilStdinEnds) process.stdin.destroy();
}

async function reload({
  house,
  terminal,
}: {
  readonly house: House;
  readonly terminal: Terminal;
}): Promise<void> {
  const done = await house.reload();
  terminal.say(done.ok ? reloadText(done.value) : `settings kept as they were: ${done.failure.message}`);
}

/** What a reload did, for people. */
export function reloadText(done: {
  readonly changed: readonly {
    readonly setting: string;
    readonly from: string | null;
    readonly to: string | null;
  }[];
  readonly needsRestart: readonly string[];
}): string {
  const value = (text: string | null) => text ?? "default";
  const changed = done.changed.map(({ setting, from, to }) => `${setting} ${value(from)} → ${value(to)}`);
  const lines = [`settings read again: ${changed.length === 0 ? "nothing changed" : changed.join(", ")}`];
  if (done.needsRestart.length > 0) lines.push(`in force at the next start: ${done.needsRestart.join(", ")}`);
  return lines.join("\n");
}

/** `worker and services`. */
export function rolesText(roles: readonly Role[]): string {
  return roles.length < 2 ? roles.join("") : `${roles.slice(0, -1).join(", ")} and ${roles.at(-1)}`;
}
