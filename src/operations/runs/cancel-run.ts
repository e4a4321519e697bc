import type { Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { RunSummary } from "../../domain/run.ts";
import { checkText } from "../check-json.ts";
import { type PostingParts, postToRun } from "./post-to-run.ts";

const DEFAULT_REASON = "canceled by request";

/** Asks a run to end early. It ends at its next safe point; a run that was canceled already is answered as it is. */
export async function cancelRun(
  parts: PostingParts,
  request: { readonly run: string; readonly reason?: string; readonly from: string },
): Promise<Result<RunSummary>> {
  const reason = checkText("reason", request.reason ?? DEFAULT_REASON, LIMITS.textChars);
  if (!reason.ok) return reason;
  const { run, from } = request;
  return postToRun(parts, { run, from, kind: "cancel", name: "cancel", body: { reason: reason.value } });
}
