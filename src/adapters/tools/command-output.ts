import { stripVTControlCharacters } from "node:util";
import type { Command, CommandResult } from "../../contracts/sandbox.ts";
import type { ToolContext } from "../../contracts/tool.ts";
import { FailureError } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";

/** Kept of each stream. More than one output holds, so that a stream alone may use all of it. */
const KEPT_BYTES = 2 * LIMITS.toolOutputChars;
const ELIDED = /\n… \[(\d+) bytes left out] …\n/;
const CUT_MARK_CHARS = 60;

/** Runs a command in the workspace. Throws the failure when it cannot be started. */
export async function runInWorkspace(
  context: ToolContext,
  command: Pick<Command, "run" | "timeoutMs"> & Partial<Pick<Command, "env">>,
): Promise<CommandResult> {
  const { signal, onOutput } = context;
  const answer = await context.sandbox.run(
    { ...command, cwd: context.root, maxOutputBytes: KEPT_BYTES },
    { signal, ...(onOutput === undefined ? {} : { onOutput }) },
  );
  if (!answer.ok) throw new FailureError(answer.failure);
  return answer.result;
}

/** What a terminal would show in the end: no colours, no overwritten progress bars, no control characters. */
export function readable(text: string): string {
  return stripVTControlCharacters(text)
    .split("\n")
    .map((line) => line.replace(/\r+$/, ""))
    .map((line) => line.slice(line.lastIndexOf("\r") + 1))
    .join("\n")
    .replaceAll(/[\p{Cc}--[\t\n]]/gv, "\uFFFD")
    .toWellFormed();
}

/** Head and tail within a bound, with one exact mark, also when the sandbox has cut the text before. */
export function headAndTail(text: string, maxChars: number): string {
  const cut = ELIDED.exec(text);
  if (text.length <= maxChars) return text;
  const head = cut === null ? text : text.slice(0, cut.index);
  const tail = cut === null ? text : text.slice(cut.index + cut[0].length);
  const half = Math.floor((maxChars - CUT_MARK_CHARS) / 2);
  const [from, to] = [head.slice(0, half).toWellFormed(), tail.slice(-half).toWellFormed()];
  const all =
    cut === null
      ? Buffer.byteLength(text)
      : Buffer.byteLength(head) + Number(cut[1]) + Buffer.byteLength(tail);
  return `${from}\n… [${all - Buffer.byteLength(from) - Buffer.byteLength(to)} bytes left out] …\n${to}`;
}
