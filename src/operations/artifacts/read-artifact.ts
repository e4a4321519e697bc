import { nearest } from "../../base/text.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { listArtifacts, type SavedArtifact } from "./list-artifacts.ts";

/** Which artifact of a run it is: name, type, hash; without its content. */
export function findArtifact(
  parts: Pick<Parts, "reader">,
  of: { readonly run: string; readonly artifact: string },
): Promise<Result<SavedArtifact>> {
  return asResult(async () => {
    const all = await listArtifacts(parts, of.run);
    if (!all.ok) return all;
    const artifact = all.value.find((one) => one.id === of.artifact);
    if (artifact) return ok(artifact);
    const meant = nearest(
      of.artifact,
      all.value.map((one) => one.id),
    );
    const hint = meant === null ? "" : ` Did you mean ${meant}?`;
    return fail("not_found", `Run ${of.run} has no artifact ${JSON.stringify(of.artifact)}.${hint}`, {
      run: of.run,
      artifact: of.artifact,
    });
  });
}

/** The content, checked against its hash. */
export async function readArtifact(
  parts: Pick<Parts, "artifacts">,
  artifact: SavedArtifact,
): Promise<Result<Uint8Array>> {
  const details = { artifact: artifact.id, sha256: artifact.sha256 };
  try {
    const content = await parts.artifacts.get(artifact.sha256);
    return content
      ? ok(content)
      : fail("content_missing", `The content of artifact ${artifact.id} is not in the store.`, details);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail(
      "content_corrupt",
      `The content of artifact ${artifact.id} cannot be trusted: ${reason}`,
      details,
    );
  }
}
