import type { Result } from "../../domain/errors.ts";
import type { RunSummary } from "../../domain/run.ts";
import { type PostingParts, postToRun } from "./post-to-run.ts";

/** Undoes a pause; a run that is not paused stays as it is. */
export function resumeRun(
  parts: PostingParts,
  request: { readonly run: string; readonly from: string },
): Promise<Result<RunSummary>> {
  return postToRun(parts, { ...request, kind: "resume", name: "resume", body: null });
}
