import type { Failure } from "../domain/errors.ts";

export interface Command {
  /** Either a program with its arguments (no shell), or one line for the system's shell. */
  readonly run: { readonly program: string; readonly args: readonly string[] } | { readonly shell: string };
  /** Absolute. */
  readonly cwd: string;
  /** Added to a small allow-list of the server's own environment; secrets never pass by themselves. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly timeoutMs: number;
  /** Bytes kept of each stream, head and tail; what lies between is counted, not kept. */
  readonly maxOutputBytes: number;
}

export interface CommandResult {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes left out of stdout and stderr together. */
  readonly elidedBytes: number;
  readonly timedOut: boolean;
  readonly canceled: boolean;
  readonly ms: number;
}

/**
 * Where commands run. The command's whole process group ends with it: at its timeout and at `signal`
 * first politely, then, after `graceMs`, by kill. A command that cannot be started is a failure.
 */
export interface Sandbox {
  readonly name: string;
  run(
    command: Command,
    options: {
      readonly signal: AbortSignal;
      readonly graceMs?: number;
      readonly onOutput?: (chunk: string) => void;
    },
  ): Promise<
    { readonly ok: true; readonly result: CommandResult } | { readonly ok: false; readonly failure: Failure }
  >;
}
