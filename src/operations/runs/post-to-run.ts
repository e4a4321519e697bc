import type { Posting } from "../../contracts/run-store.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { RunSummary } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { findRun, unknownRun } from "./find-run.ts";

export type PostingParts = Pick<Parts, "clock" | "newId" | "store" | "reader">;

/** Leaves a message to a run; whichever worker drives it next reads it. Answers the run as it is now. */
export function postToRun(
  parts: PostingParts,
  message: Omit<Posting, "at" | "id"> & { readonly id?: string },
): Promise<Result<RunSummary>> {
  return asResult(async () => {
    const posting = { ...message, id: message.id ?? parts.newId("msg"), at: parts.clock.now() };
    const [posted] = await parts.store.post([posting]);
    if (posted === undefined) return fail("internal", "The store gave no answer to a message.");
    switch (posted) {
      case "accepted":
      case "duplicate":
        return findRun(parts, message.run);
      case "unknown_run":
        return unknownRun(message.run);
      case "run_ended":
        return ended(parts, message);
      case "inbox_full":
        return fail(
          "inbox_full",
          `Run ${message.run} has ${LIMITS.inboxPerRun} unread messages already; this ${message.kind} was not stored.`,
          { run: message.run, limit: LIMITS.inboxPerRun },
        );
    }
  });
}

async function ended(
  parts: Pick<Parts, "reader">,
  message: Pick<Posting, "run" | "kind">,
): Promise<Result<RunSummary>> {
  const run = await findRun(parts, message.run);
  if (!run.ok) return run;
  const { id, status } = run.value;
  if (message.kind === "cancel" && status === "canceled") return ok(run.value);
  return fail(
    "run_ended",
    `Run ${id} has ${ENDED[status] ?? "ended"}; it takes no ${message.kind} any more.`,
    {
      run: id,
      status,
    },
  );
}

const ENDED: Readonly<Record<string, string>> = {
  completed: "completed",
  failed: "failed",
  canceled: "been canceled",
};
