import { z } from "zod";
import { isJsonObject, type Json } from "../../base/json.ts";
import type { Action, ActionContext } from "../../contracts/action.ts";
import type { ChangedFile, Workspace } from "../../contracts/workspace.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Fact } from "../../domain/fact.ts";
import { runRecord } from "../../domain/run-record.ts";
import { redactTexts } from "./agent-transcript.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, plain, unwrap } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import { type AgentEnding, reportText } from "./report-text.ts";
import { workspaceOf, workspaceSchema } from "./shapes.ts";

const input = z.strictObject({
  workspace: workspaceSchema.nullish().describe("Whose changes become `diff.patch`."),
  title: z.string().nullish(),
});
const output = z.object({ artifacts: z.array(z.string()) });

interface Diff {
  readonly sha256: string;
  readonly files: readonly ChangedFile[];
}

/** Leaves what a person and a program want of the run: `diff.patch`, `gates.json`, `report.md`, `run.json`. */
export function reportAction(parts: StepParts): Action {
  return defineAction({
    name: "report",
    description: "Saves diff.patch, gates.json, report.md and run.json as artifacts.",
    input,
    output,
    async perform(given, context) {
      const workspace = given.workspace ? workspaceOf(given.workspace) : null;
      const diff = workspace && (await saveDiff(parts, context, workspace));
      const facts = await factsSoFar(context);
      const record = runRecord(facts, {
        run: context.run.id,
        sandbox: parts.sandbox.name,
        allowlistRoot: workspace?.root ?? null,
        filesModified: diff?.files.map((file) => file.path) ?? null,
      });
      if (record === null) {
        throw new FailureError(failure("internal", "the journal does not begin with `run_queued`"));
      }
      const redact = parts.redact ?? ((text: string) => text);
      const pretty = (value: Json) => `${JSON.stringify(redactTexts(value, parts.redact), null, 2)}\n`;
      const { endings, verdicts } = evidenceIn(facts);
      const title = given.title ?? context.run.title;
      const saved = diff === null ? [] : [diff.artifact];
      const save = async (name: string, kind: string, of: { mediaType: string; content: string }) => {
        saved.push((await context.saveArtifact({ name, kind, ...of })).id);
      };
      await save("gates.json", "gates", { mediaType: "application/json", content: pretty(verdicts) });
      const text = reportText(record, { title, files: diff?.files ?? [], endings });
      await save("report.md", "report", { mediaType: "text/markdown", content: redact(text) });
      await save("run.json", "run", { mediaType: "application/json", content: pretty(plain(record)) });
      return { artifacts: saved };
    },
  });
}

/** The journal up to here, and no further when the step is performed again: a report is not about itself. */
async function factsSoFar(context: ActionContext): Promise<readonly Fact[]> {
  const count = await onceOf<number>(context, "facts", {
    effect: "pure",
    request: "facts",
    label: "read the journal",
    perform: async () => context.facts().length,
  });
  return context.facts().slice(0, count);
}

/** The patch goes to the artifact store, so that a large one never weighs on the journal. */
async function saveDiff(
  parts: StepParts,
  context: ActionContext,
  workspace: Workspace,
): Promise<Diff & { readonly artifact: string }> {
  const diff = await onceOf<Diff>(context, "diff", {
    effect: "pure",
    request: { diff: workspace.root },
    label: "read the diff",
    perform: async (call) => {
      const changes = unwrap(await parts.workspaces.changes(workspace, call.signal));
      const { sha256 } = await parts.artifacts.put(changes.patch);
      return { sha256, files: changes.files };
    },
  });
  const content = await parts.artifacts.get(diff.sha256);
  if (content === null) {
    const text = `the artifact store lost the diff ${diff.sha256}`;
    throw new FailureError(failure("not_found", text));
  }
  const saved = await context.saveArtifact({
    name: "diff.patch",
    kind: "diff",
    mediaType: "text/x-diff",
    content,
  });
  return { ...diff, artifact: saved.id };
}

/** What agents said at their end, and the latest verdict of each step that has one. */
function evidenceIn(facts: readonly Fact[]): {
  readonly endings: readonly AgentEnding[];
  readonly verdicts: Readonly<Record<string, Json>>;
} {
  const endings: AgentEnding[] = [];
  const verdicts: Record<string, Json> = {};
  for (const fact of facts) {
    const said =
      fact.kind === "step_succeeded"
        ? fact.output
        : fact.kind === "step_failed"
          ? (fact.failure.details ?? null)
          : null;
    if (!isJsonObject(said) || (fact.kind !== "step_succeeded" && fact.kind !== "step_failed")) continue;
    const verdict = Array.isArray(said.gates) ? said : said.verdict;
    if (isJsonObject(verdict)) verdicts[fact.step] = verdict;
    if (typeof said.summary !== "string" || typeof said.outcome !== "string") continue;
    const answer = typeof said.answer === "string" ? said.answer : "";
    endings.push({ step: fact.step, outcome: said.outcome, summary: said.summary, answer });
  }
  return { endings, verdicts };
}
