import { readFile, stat } from "node:fs/promises";
import { parseLimits } from "../adapters/limits/limits-file.ts";
import { LIMITS_FILE } from "../adapters/limits/schema.ts";
import { type AdmissionRules, DEFAULT_RULES } from "../domain/admission-rules.ts";
import { fail, ok, type Result } from "../domain/errors.ts";
import { asResult } from "../operations/as-result.ts";
import type { Reloadable } from "./reload.ts";

/** The rules in force. A reload reads the file again; what cannot be used changes nothing. */
export interface LiveRules extends Reloadable {
  current(): AdmissionRules;
  settle(): Promise<Result<number>>;
}

/** Rejects nothing: a file that is missing or wrong is `invalid_config` or `invalid_limits`. `null` means the defaults. */
export async function readLimits(path: string | null): Promise<Result<AdmissionRules>> {
  if (path === null) return ok(DEFAULT_RULES);
  try {
    const { size } = await stat(path);
    if (size > LIMITS_FILE.bytes) {
      return fail("invalid_limits", `${path} has ${size} bytes; at most ${LIMITS_FILE.bytes} are read.`);
    }
    return parseLimits(await readFile(path, "utf8"), path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(
      "invalid_config",
      `AGENT_RUNNER_LIMITS is ${JSON.stringify(path)}, which cannot be read: ${why}`,
      {
        setting: "AGENT_RUNNER_LIMITS",
      },
    );
  }
}

export interface LiveRulesParts {
  readonly first: AdmissionRules;
  /** A file says so. A process without one does not speak for those that have one. */
  readonly configured: boolean;
  /** Brings the slots of open runs in line with the rules. */
  readonly resize: (rules: AdmissionRules) => Promise<number>;
}

export function liveRules({ first, configured, resize }: LiveRulesParts): LiveRules {
  let rules = first;
  let speaks = configured;
  return {
    settings: ["AGENT_RUNNER_LIMITS"],
    current: () => rules,
    settle: () => asResult(async () => ok(speaks ? await resize(rules) : 0)),
    async prepare(config) {
      const read = await readLimits(config.limits);
      if (!read.ok) return read;
      return ok(() => {
        rules = read.value;
        // A file that is not named any more has taken its bounds away, which is to be done once too.
        speaks ||= config.limits !== null;
      });
    },
  };
}
