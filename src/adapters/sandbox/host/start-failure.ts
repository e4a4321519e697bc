import type { Command } from "../../../contracts/sandbox.ts";
import { type Failure, failure } from "../../../domain/errors.ts";

/** The machine is short of something that other processes will give back. */
const SHORT_OF = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"]);

/** What the system's refusal to start a command means. */
export function startFailure(command: Command, error: unknown): Failure {
  const name = "program" in command.run ? command.run.program : "the system's shell";
  const { code, syscall } = describe(error);
  if (!syscall.startsWith("spawn")) {
    if (code === "ENOSPC")
      return failure("disk_full", "No space is left to note the command before it starts.");
    if (code === "EROFS" || code === "EACCES") {
      return failure("read_only", "The folder that notes running commands cannot be written.");
    }
  }
  const message = `Could not start ${JSON.stringify(name)}: ${reason(code, error)}.`;
  const base = failure("command_not_started", message, { program: name, code });
  return SHORT_OF.has(code) ? { ...base, retryable: true } : base;
}

function reason(code: string, error: unknown): string {
  if (code === "ENOENT") return "there is no such program on the PATH";
  if (code === "EACCES" || code === "EPERM") return "the file is not executable for this user";
  if (code === "E2BIG" || code === "ENAMETOOLONG")
    return "the command line is too long; put the text into a file";
  if (code === "ENOEXEC") return "the file is not a program of this system";
  if (SHORT_OF.has(code)) return `the system is short of processes, files or memory (${code})`;
  return error instanceof Error ? error.message : String(error);
}

function describe(error: unknown): { readonly code: string; readonly syscall: string } {
  const parts = error as { readonly code?: unknown; readonly syscall?: unknown };
  return { code: String(parts?.code ?? "unknown"), syscall: String(parts?.syscall ?? "") };
}
