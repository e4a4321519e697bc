import { z } from "zod";
import { formatDuration } from "../../base/duration.ts";
import type { CommandResult } from "../../contracts/sandbox.ts";
import type { ToolOutput } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { headAndTail, readable, runInWorkspace } from "./command-output.ts";
import { defineTool, refusal } from "./define-tool.ts";

const DEFAULT_TIMEOUT_S = 120;
const LARGEST_TIMEOUT_S = LIMITS.commandTimeoutMs / 1_000;
/** Left for the heading of the second stream and the last line. */
const NOTES_CHARS = 400;

export const bashTool = defineTool({
  name: "bash",
  description:
    "Run one command line in the workspace's root, in a fresh shell each time: `cd` and variables do not last, background processes end with it, and nothing can be typed in. Long output is cut in the middle.",
  fields: {
    command: z
      .string()
      .min(1)
      .describe("The command line, such as `npm test -- src/a.test.ts 2>&1 | tail -40`."),
    timeout_seconds: z
      .number()
      .positive()
      .optional()
      .describe(`When to end it; ${DEFAULT_TIMEOUT_S} if not given, at most ${LARGEST_TIMEOUT_S}.`),
  },
  effect: "query",
  risk: "high",
  readOnly: false,
  async run(input, context) {
    const seconds = Math.min(input.timeout_seconds ?? DEFAULT_TIMEOUT_S, LARGEST_TIMEOUT_S);
    const run = { shell: input.command };
    const result = await runInWorkspace(context, { run, timeoutMs: Math.ceil(seconds * 1_000) });
    return outputOf(result, seconds);
  },
  // The world cannot be asked whether an arbitrary command ran; the agent can go and look.
  recover: async (input) =>
    refusal(
      "uncertain_effect",
      `The command was interrupted by a crash and may or may not have taken effect, in full or in part: ${JSON.stringify(headAndTail(input.command, NOTES_CHARS))}. Inspect the workspace before you repeat it.`,
    ),
});

function outputOf(result: CommandResult, limitSeconds: number): ToolOutput {
  const { exitCode, signal, timedOut, canceled, ms } = result;
  const { stdout, stderr } = sharedRoom(readable(result.stdout).trimEnd(), readable(result.stderr).trimEnd());
  const parts = [stdout, ...(stderr === "" ? [] : ["[stderr]", stderr])].filter((part) => part !== "");
  if (parts.length === 0) parts.push("[no output]");
  const time = formatDuration(ms);
  if (timedOut) {
    parts.push(
      `[ended after ${time}: the time limit of ${limitSeconds} s. Raise \`timeout_seconds\` (at most ${LARGEST_TIMEOUT_S}), or run something shorter]`,
    );
  } else if (canceled) parts.push(`[canceled after ${time}]`);
  else
    parts.push(exitCode === null ? `[ended by ${signal} after ${time}]` : `[exit code ${exitCode}, ${time}]`);
  const data = { exitCode, signal, timedOut, canceled, ms, elidedBytes: result.elidedBytes };
  const code = timedOut ? "command_timeout" : "canceled";
  return {
    isError: timedOut || canceled,
    text: parts.join("\n"),
    data: timedOut || canceled ? { code, ...data } : data,
  };
}

/** A stream that needs less than half leaves its room to the other. */
function sharedRoom(stdout: string, stderr: string): { readonly stdout: string; readonly stderr: string } {
  const room = LIMITS.toolOutputChars - NOTES_CHARS;
  const half = Math.floor(room / 2);
  return {
    stdout: headAndTail(stdout, Math.max(half, room - stderr.length)),
    stderr: headAndTail(stderr, Math.max(half, room - stdout.length)),
  };
}
