import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { Command } from "../../../contracts/sandbox.ts";

export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
  /** Windows: the arguments are one ready line, not to be quoted again. */
  readonly verbatim: boolean;
}

/** A program as it is, or a line for bash where there is one, else for sh; on Windows for cmd.exe. */
export function invocationOf(run: Command["run"]): Invocation {
  if (!("shell" in run)) return { file: run.program, args: run.args, verbatim: false };
  if (process.platform === "win32") {
    const file = process.env.ComSpec ?? "cmd.exe";
    return { file, args: ["/d", "/s", "/c", `"${run.shell}"`], verbatim: true };
  }
  // "--", so that a line that begins with a dash is not taken for an option.
  return { file: posixShell(), args: ["-c", "--", run.shell], verbatim: false };
}

let foundShell: string | null = null;

function posixShell(): string {
  if (foundShell === null) {
    const folders = ["/bin", "/usr/bin", ...(process.env.PATH ?? "").split(delimiter).filter(isAbsolute)];
    foundShell = folders.map((folder) => join(folder, "bash")).find(existsSync) ?? "/bin/sh";
  }
  return foundShell;
}
