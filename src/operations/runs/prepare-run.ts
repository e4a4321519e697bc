import type { Json } from "../../base/json.ts";
import { tenantRules } from "../../domain/admission-rules.ts";
import { tighter } from "../../domain/budget.ts";
import { ok, type Result } from "../../domain/errors.ts";
import type { RunRequest, Slot } from "../../domain/fact.ts";
import type { Intent } from "../../domain/intent.ts";
import { placementOf } from "../../domain/placement.ts";
import type { Sla } from "../../domain/sla.ts";
import type { Workflow } from "../../domain/workflow.ts";
import { tenantSlotKey } from "../admission/resize-slots.ts";
import type { Parts } from "../parts.ts";
import { findWorkflow } from "../workflows/find-workflow.ts";
import { titleOf } from "./run-title.ts";

export interface PrepareRun {
  /** Name (its newest version) or hash. */
  readonly workflow: string;
  readonly inputs: Json;
  readonly title?: string;
  readonly tenant: string;
  readonly principal: string | null;
  readonly sla: Sla | null;
  readonly queue: string;
  readonly priority: number;
  /** ms since the epoch; the workflow's own timeout may bring it forward. */
  readonly deadlineAt: number | null;
  /** What the run may spend, in micro-dollars; the workflow's own budget may allow less. */
  readonly budgetMicros?: number;
  /** How a free request came to this workflow. */
  readonly intent?: Intent;
}

type Needs = Pick<Parts, "clock" | "workflows" | "checkInputs" | "expressions" | "desk">;

/** A checked request, pinned to a workflow's hash: the same for runs from a door and for children of runs. */
export async function prepareRun(parts: Needs, wanted: PrepareRun): Promise<Result<RunRequest>> {
  const found = await findWorkflow(parts, wanted.workflow);
  if (!found.ok) return found;
  const { workflow } = found.value;
  const inputs = parts.checkInputs(workflow, wanted.inputs);
  if (!inputs.ok) return inputs;
  const of = { inputs: inputs.value, tenant: wanted.tenant };
  const placement = placementOf(workflow, of, parts.expressions);
  if (!placement.ok) return placement;
  const { needs, slots = [] } = placement.value;
  const shared = [...tenantSlots(parts, wanted.tenant), ...slots];
  const budgetMicros = tighter(wanted.budgetMicros ?? null, workflow.budgetMicros ?? null);
  return ok({
    workflow: { name: workflow.name, version: workflow.version, hash: workflow.hash },
    inputs: inputs.value,
    title: wanted.title?.trim() ?? titleOf(workflow, inputs.value),
    tenant: wanted.tenant,
    queue: wanted.queue,
    priority: wanted.priority,
    deadlineAt: earliest(wanted.deadlineAt, ownDeadline(workflow, parts.clock.now())),
    parent: null,
    ...(wanted.intent === undefined ? {} : { intent: wanted.intent }),
    ...(budgetMicros === null ? {} : { budgetMicros }),
    ...(wanted.principal === null ? {} : { principal: wanted.principal }),
    ...(wanted.sla === null ? {} : { sla: wanted.sla }),
    ...(needs === undefined ? {} : { needs }),
    ...(shared.length === 0 ? {} : { slots: shared }),
  });
}

/** A tenant's cap of running runs is a slot that each of its runs holds while a worker drives it. */
function tenantSlots({ desk }: Needs, tenant: string): readonly Slot[] {
  const { maxRunning } = tenantRules(desk.rules(), tenant);
  if (maxRunning === null) return [];
  return [{ key: tenantSlotKey(tenant), limit: maxRunning, hold: "lease", onConflict: "queue" }];
}

function ownDeadline(workflow: Workflow, now: number): number | null {
  return workflow.timeoutMs === undefined ? null : now + workflow.timeoutMs;
}

function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
