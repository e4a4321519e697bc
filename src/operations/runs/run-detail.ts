import { ok, type Result } from "../../domain/errors.ts";
import { hasRunEnded, type RunSummary } from "../../domain/run.ts";
import { growView, type RunView, showView, startView } from "../../domain/run-view.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { type RunBudget, runBudget } from "../spend/run-budget.ts";
import { findRun, unknownRun } from "./find-run.ts";
import { readJournal } from "./read-journal.ts";
import { shown } from "./shown.ts";
import { usualTime } from "./usual-time.ts";

export interface RunDetail {
  readonly run: RunSummary;
  readonly view: RunView;
  readonly budget: RunBudget;
}

/** A run with everything that its journal tells: steps, waits, approvals, artifacts, usage, progress. */
export function runDetail(
  parts: Pick<Parts, "reader" | "workflows" | "clock" | "redactor" | "spend" | "views">,
  id: string,
): Promise<Result<RunDetail>> {
  return asResult(async () => {
    const run = await findRun(parts, id);
    if (!run.ok) return run;
    const stored = await parts.workflows.byHash(run.value.workflowHash);
    const steps = () => stored?.workflow.steps.map((step) => step.id) ?? [];
    const state = parts.views?.take(run.value, steps) ?? startView(steps());
    for await (const facts of readJournal(parts, id, state.lastSeq)) growView(state, facts);
    const usualMs = hasRunEnded(run.value.status) ? null : await usualTime(parts, run.value.workflow);
    const view = showView(state, parts.clock.now(), usualMs);
    if (view === null) return unknownRun(id);
    const budget = await runBudget(parts, id, view.request);
    parts.views?.giveBack(id, state);
    return ok(shown(parts, { run: run.value, view, budget }));
  });
}
