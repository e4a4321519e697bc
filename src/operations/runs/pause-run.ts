import type { Result } from "../../domain/errors.ts";
import type { RunSummary } from "../../domain/run.ts";
import { type PostingParts, postToRun } from "./post-to-run.ts";

/** No further step begins until the run is resumed; steps that are under way come to their end. */
export function pauseRun(
  parts: PostingParts,
  request: { readonly run: string; readonly from: string },
): Promise<Result<RunSummary>> {
  return postToRun(parts, { ...request, kind: "pause", name: "pause", body: null });
}
