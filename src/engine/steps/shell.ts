import { z } from "zod";
import { clip } from "../../base/text.ts";
import type { Action, ActionContext } from "../../contracts/action.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { scratchFolder } from "./agent-opening.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, throwIfAborted } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import { durationSchema, workspaceSchema } from "./shapes.ts";

const MAX_OUTPUT_BYTES = 262_144;
const SHOWN_CHARS = 2_000;
const LABEL_CHARS = 80;

const input = z.strictObject({
  workspace: workspaceSchema.nullish().describe("Where it runs; absent means a folder of the run."),
  run: z.string().min(1).describe("One line for the system's shell."),
  timeout: durationSchema.default(LIMITS.commandTimeoutMs),
  allow_failure: z.boolean().default(false).describe("A non-zero exit code is an output, not a failure."),
  repeatable: z
    .boolean()
    .default(false)
    .describe("It may run again when a crash hid its end; otherwise a person is asked."),
});

const output = z.object({
  exit_code: z.number().nullable(),
  stdout: z.string(),
  stderr: z.string(),
  ms: z.number(),
});

interface Ran extends z.output<typeof output> {
  readonly timed_out: boolean;
}

/** A command in the sandbox. */
export function shellAction(parts: StepParts): Action {
  return defineAction({
    name: "shell",
    description: "Runs a command in the sandbox.",
    input,
    output,
    async perform(given, context) {
      const cwd = given.workspace?.root ?? (await scratchFolder(parts, context));
      const { timed_out: timedOut, ...ran } = await runOnce(parts, context, { ...given, cwd });
      if (timedOut) {
        const text = `"${clip(given.run, LABEL_CHARS).text}" took longer than ${given.timeout} ms`;
        throw new FailureError(failure("command_timeout", text, shown(ran)));
      }
      if (ran.exit_code !== 0 && !given.allow_failure) {
        const text = `"${clip(given.run, LABEL_CHARS).text}" ended with exit code ${ran.exit_code}`;
        throw new FailureError(failure("command_failed", text, shown(ran)));
      }
      return ran;
    },
  });
}

function runOnce(
  parts: StepParts,
  context: ActionContext,
  of: { readonly cwd: string; readonly run: string; readonly timeout: number; readonly repeatable: boolean },
): Promise<Ran> {
  return onceOf<Ran>(context, "shell", {
    effect: of.repeatable ? "pure" : "manual",
    request: { run: of.run },
    label: clip(of.run, LABEL_CHARS).text,
    perform: async (call) => {
      const signal = AbortSignal.any([context.signal, call.signal]);
      const ran = await parts.sandbox.run(
        { run: { shell: of.run }, cwd: of.cwd, timeoutMs: of.timeout, maxOutputBytes: MAX_OUTPUT_BYTES },
        { signal, onOutput: (chunk) => context.publish("output", { text: chunk }) },
      );
      throwIfAborted(signal);
      if (!ran.ok) throw new FailureError(ran.failure);
      const redact = parts.redact ?? ((text: string) => text);
      const { exitCode, stdout, stderr, ms, timedOut } = ran.result;
      return { exit_code: exitCode, stdout: redact(stdout), stderr: redact(stderr), ms, timed_out: timedOut };
    },
  });
}

function shown(ran: z.output<typeof output>) {
  return {
    exit_code: ran.exit_code,
    stdout: clip(ran.stdout, SHOWN_CHARS).text,
    stderr: clip(ran.stderr, SHOWN_CHARS).text,
  };
}
