import type { Log } from "../contracts/log.ts";
import { ok, type Result } from "../domain/errors.ts";
import type { Worker } from "../engine/worker.ts";
import type { Reloaded } from "../operations/fleet/steering.ts";
import type { Config } from "./config.ts";
import { labelsOf } from "./labels.ts";

/** A part of the house that takes new settings while it works. */
export interface Reloadable {
  /** Names of the settings it takes. */
  readonly settings: readonly string[];
  /** Checks them, and changes nothing yet. What it gives applies them, and cannot fail. */
  prepare(config: Config): Promise<Result<() => void>>;
  /** Brings what is kept elsewhere in line with the settings in force; when it cannot, the next reload tries again. */
  settle?(): Promise<Result<unknown>>;
}

/** Those whose values may be shown. */
const SHOWN = /^(AGENT_RUNNER_|DATABASE_CONNECTIONS$)/;
/** What this program reads beside its own: the providers' variables and the models by stage. */
const READ =
  /^(AGENT_RUNNER_|DATABASE_(URL|CONNECTIONS)$|ANTHROPIC_|GEMINI_|GOOGLE_|OPENAI_|OLLAMA_|[A-Z]+_MODEL$)/;

/** All parts take the new settings, or, when one of them cannot, none does and the failure says why. */
async function applySettings(
  parts: readonly Reloadable[],
  before: Config,
  after: Config,
): Promise<Result<Reloaded>> {
  const apply: (() => void)[] = [];
  for (const part of parts) {
    const prepared = await part.prepare(after);
    if (!prepared.ok) return prepared;
    apply.push(prepared.value);
  }
  for (const one of apply) one();
  const live = new Set(parts.flatMap(({ settings }) => settings));
  const names = [...new Set([...Object.keys(before.env), ...Object.keys(after.env)])];
  const different = names.filter((name) => READ.test(name) && before.env[name] !== after.env[name]).sort();
  const value = (config: Config, name: string) =>
    SHOWN.test(name) ? (config.env[name] ?? null) : "(not shown)";
  return ok({
    changed: different
      .filter((name) => live.has(name))
      .map((setting) => ({ setting, from: value(before, setting), to: value(after, setting) })),
    needsRestart: different.filter((name) => !live.has(name)),
  });
}

/** One reload at a time; the settings it leaves are those that are in force. */
export function createReload(of: {
  /** Reads the settings again; absent where there is nowhere to read them from. */
  readonly settings?: () => Promise<Result<Config>>;
  readonly reloadables: readonly Reloadable[];
  readonly log: Log;
  readonly worker: Worker;
  readonly current: () => Config;
  readonly accept: (config: Config) => void;
}): () => Promise<Result<Reloaded>> {
  const { log, worker } = of;
  const own: Reloadable = {
    settings: ["AGENT_RUNNER_SLOTS", "AGENT_RUNNER_LABELS", "AGENT_RUNNER_DRAIN", "AGENT_RUNNER_RETENTION"],
    async prepare(config) {
      const labels = await labelsOf(config);
      const before = of.current();
      return ok(() => {
        // What was asked for by the API meanwhile stays, unless the setting itself is another.
        if (config.slots !== before.slots) worker.resize(config.slots);
        if (labels.join() !== worker.labels.join()) worker.relabel(labels);
      });
    },
  };
  const once = async (): Promise<Result<Reloaded>> => {
    const read = of.settings === undefined ? ok(of.current()) : await of.settings();
    if (!read.ok) return read;
    const done = await applySettings([own, ...of.reloadables], of.current(), read.value);
    if (!done.ok) return done;
    of.accept(read.value);
    for (const part of of.reloadables) {
      const settled = await part.settle?.();
      if (settled?.ok === false) return settled;
    }
    return done;
  };
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const mine = last.then(once);
    last = mine.then(
      (done) => {
        if (done.ok) log.info(done.value, "settings read again");
        else
          log.warn(
            { failure: done.failure },
            "the settings could not be read again, or not be applied everywhere",
          );
      },
      (error: unknown) => log.warn({ error: String(error) }, "settings kept as they were"),
    );
    return mine;
  };
}
