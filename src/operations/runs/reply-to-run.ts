import { fail, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { RunSummary } from "../../domain/run.ts";
import { checkText } from "../check-json.ts";
import { type PostingParts, postToRun } from "./post-to-run.ts";

/**
 * A person's words to a live run: its agents hear them before their next turn, and a step may wait for the signal `reply`.
 * A run that has ended cannot be continued yet.
 */
export async function replyToRun(
  parts: PostingParts,
  reply: { readonly run: string; readonly text: string; readonly id?: string; readonly from: string },
): Promise<Result<RunSummary>> {
  const text = checkText("text", reply.text, LIMITS.textChars);
  if (!text.ok) return text;
  const known = reply.id === undefined ? {} : { id: `reply/${reply.id}` };
  const posted = await postToRun(parts, {
    run: reply.run,
    from: reply.from,
    ...known,
    kind: "reply",
    name: "reply",
    body: { text: text.value },
  });
  if (posted.ok || posted.failure.code !== "run_ended") return posted;
  return fail(
    "run_ended",
    `${posted.failure.message} Its conversation cannot be continued; start a new run and give it what is needed as inputs.`,
    posted.failure.details,
  );
}
