import type { Diagnostic } from "../contracts/definitions.ts";
import type { ModelHealthView, ModelView } from "../contracts/model-gateway.ts";
import type { StoredWorkflow } from "../contracts/workflow-store.ts";
import type { AgentSpec } from "../domain/agent.ts";
import type { OnFailure, StepSpec } from "../domain/workflow.ts";
import type { ProviderView } from "../operations/catalog/list-providers.ts";
import type * as api from "./api.ts";
import { moment } from "./moments.ts";

function head({ workflow, origin, savedAt }: StoredWorkflow) {
  const { name, version, hash, description } = workflow;
  return { name, version, hash, description, origin, saved_at: moment(savedAt) };
}

export function presentListedWorkflow(stored: StoredWorkflow): api.WorkflowListItem {
  return { ...head(stored), steps: stored.workflow.steps.length };
}

export function presentWorkflow(stored: StoredWorkflow): api.Workflow {
  const { workflow, source } = stored;
  return {
    ...head(stored),
    examples: [...(workflow.examples ?? [])],
    inputs: { ...workflow.inputs },
    outputs: { ...workflow.outputs },
    timeout_ms: workflow.timeoutMs ?? null,
    max_parallel: workflow.maxParallel,
    steps: workflow.steps.map(presentStep),
    source,
  };
}

function presentStep(step: StepSpec): api.Workflow["steps"][number] {
  const { id, uses, foreach } = step;
  return {
    id,
    uses,
    needs: [...step.needs],
    with: { ...step.with },
    if: step.if ?? null,
    max_attempts: step.retry.maxAttempts,
    timeout_ms: step.timeoutMs ?? null,
    foreach: foreach
      ? { items: foreach.items, max_parallel: foreach.maxParallel, fail_fast: foreach.failFast }
      : null,
    on_failure: presentOnFailure(step.onFailure),
    outputs: step.outputs ? { ...step.outputs } : null,
  };
}

function presentOnFailure(onFailure: OnFailure): string {
  return onFailure.kind === "run" ? `run:${onFailure.step}` : onFailure.kind;
}

export function presentDiagnostic(diagnostic: Diagnostic): api.Diagnostic {
  return { ...diagnostic };
}

export function presentListedAgent(agent: AgentSpec): api.AgentListItem {
  const { name, description, hash, model, tools } = agent;
  return { name, description, hash, model: model.use ?? null, stage: model.stage, tools: [...tools] };
}

export function presentAgent(agent: AgentSpec): api.Agent {
  const { limits, validation, model } = agent;
  return {
    ...presentListedAgent(agent),
    examples: [...(agent.examples ?? [])],
    max_output_tokens: model.maxOutputTokens,
    temperature: model.temperature ?? null,
    limits: {
      turns: limits.turns,
      tokens: limits.tokens,
      cost_usd: limits.costUsd ?? null,
      wall_time_ms: limits.wallTimeMs,
      repair_rounds: limits.repairRounds,
      context_tokens: limits.contextTokens,
      compact_at_tokens: limits.compactAtTokens,
    },
    validation: {
      gates: validation.gates,
      min_chars: validation.minChars ?? null,
      must_mention: [...(validation.mustMention ?? [])],
      may_change_nothing: validation.mayChangeNothing,
    },
    prompt: agent.prompt,
  };
}

export function presentProvider(provider: ProviderView): api.ProviderList["providers"][number] {
  const { name, health, models, isDefault } = provider;
  return {
    name,
    status: health.status,
    detail: health.detail,
    models: [...models],
    is_default: isDefault,
    live: provider.live.map(({ model, ...live }) => ({ model, health: presentModelHealth(live) })),
  };
}

function presentModelHealth(health: ModelHealthView): api.ModelList["models"][number]["health"] {
  return {
    state: health.state,
    detail: health.detail,
    ttft_ms: health.ttftMs,
    ttft_p95_ms: health.ttftP95Ms,
    gap_ms: health.gapMs,
    error_rate: health.errorRate,
    in_flight: health.inFlight,
    concurrency_limit: health.concurrencyLimit,
    samples: health.samples,
    from: health.from,
  };
}

export function presentModel(view: ModelView): api.ModelList["models"][number] {
  const { provider, model, available, stages, tools, json, contextTokens, quality, price, health } = view;
  return {
    provider,
    model,
    available,
    stages: [...stages],
    tools,
    json,
    context_tokens: contextTokens,
    quality,
    price:
      price === null
        ? null
        : {
            input: price.input,
            cache_read: price.cacheRead,
            cache_write: price.cacheWrite,
            output: price.output,
          },
    health: presentModelHealth(health),
  };
}
