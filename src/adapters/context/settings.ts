import { FailureError, failure } from "../../domain/errors.ts";
import { type GitCall, gitRecords } from "./git.ts";

const MAX_SETTINGS = 200;
const WANTED = "^(filter\\..+\\.(clean|process|required)|extensions\\.partialclone|remote\\..+\\.promisor)$";

export interface RepositorySettings {
  /** Settings that switch off the programs through which files would pass: `name=value` for git's `-c`. */
  readonly withoutFilters: readonly string[];
  /** A partial clone: git ends with an error where it may not fetch what is absent. */
  readonly partial: boolean;
}

/** What the settings of the repository, the user and the system mean for reading it safely. */
export async function readSettings(call: GitCall): Promise<RepositorySettings> {
  const withoutFilters: string[] = [];
  let partial = false;
  const args = ["config", "--null", "--name-only", "--get-regexp", WANTED];
  for await (const name of gitRecords(call, { args, allowExit: [1] })) {
    if (!name.startsWith("filter.")) partial = true;
    else if (name.includes("=") || withoutFilters.length >= MAX_SETTINGS) {
      throw new FailureError(
        failure("git_failed", `git config: the setting "${name}" cannot be switched off; remove it`),
      );
    } else withoutFilters.push(`${name}=${name.endsWith(".required") ? "false" : ""}`);
  }
  return { withoutFilters, partial };
}
