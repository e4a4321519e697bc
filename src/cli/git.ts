import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { FailureError, failure } from "../domain/errors.ts";

const run = promisify(execFile);
const MOST_OUTPUT = 8_388_608;
const TIMEOUT_MS = 60_000;

/** git's stdout, in `cwd` and nowhere else: a repository that the environment names (a hook's) is not meant. */
export async function git(cwd: string, ...args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^GIT_/i.test(name)));
  try {
    const { stdout } = await run("git", [...args], { cwd, env, maxBuffer: MOST_OUTPUT, timeout: TIMEOUT_MS });
    return stdout;
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { readonly stderr?: string };
    if (code === "ENOENT") throw new FailureError(failure("git_missing", "there is no git on the PATH"));
    throw new FailureError(failure("git_failed", `git ${args.join(" ")}: ${(stderr || message).trim()}`));
  }
}
