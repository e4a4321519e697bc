import type { Artifact } from "../../domain/artifact.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { findRun } from "../runs/find-run.ts";
import { readJournal } from "../runs/read-journal.ts";

export interface SavedArtifact extends Artifact {
  readonly step: string;
  /** ms since the epoch. */
  readonly savedAt: number;
}

/** What a run has left so far, in the order it was saved; a later artifact of the same id takes the place of the earlier. */
export function listArtifacts(
  parts: Pick<Parts, "reader">,
  run: string,
): Promise<Result<readonly SavedArtifact[]>> {
  return asResult(async () => {
    const found = await findRun(parts, run);
    if (!found.ok) return found;
    const artifacts = new Map<string, SavedArtifact>();
    for await (const facts of readJournal(parts, run)) {
      for (const fact of facts) {
        if (fact.kind !== "artifact_saved") continue;
        artifacts.set(fact.artifact.id, { ...fact.artifact, step: fact.step, savedAt: fact.at });
      }
    }
    return ok([...artifacts.values()]);
  });
}
