import { isJsonObject, type Json } from "../base/json.ts";
import type { EffectResult } from "./effect.ts";
import { addUsage, NO_USAGE, type Usage } from "./message.ts";

/** What calls to models used, together. */
export interface UseSum {
  readonly calls: number;
  readonly usage: Usage;
  /** Micro-US-dollars of the calls whose price is known. */
  readonly costMicros: number;
  readonly unpricedCalls: number;
}

export interface ModelUse extends UseSum {
  /** `provider/model`. */
  readonly model: string;
  readonly stage: string;
}

const NOTHING_USED: UseSum = { calls: 0, usage: NO_USAGE, costMicros: 0, unpricedCalls: 0 };

/**
 * A recorded effect counts as a model call when its value (or, of a failed one, the failure's details) carries a
 * `record` with `usage`: what the gateway says of each call.
 */
export function countUse(uses: Map<string, ModelUse>, result: EffectResult): void {
  const holder = result.ok ? result.value : result.failure.details;
  const record = isJsonObject(holder) ? holder.record : undefined;
  if (!isJsonObject(record) || !isJsonObject(record.usage)) return;
  const model = `${text(record.provider)}/${text(record.model)}`;
  const stage = text(record.stage);
  const key = `${model} ${stage}`;
  const before = uses.get(key) ?? { model, stage, ...NOTHING_USED };
  const { usage } = record;
  uses.set(key, {
    model,
    stage,
    calls: before.calls + 1,
    usage: addUsage(before.usage, {
      input: count(usage.input),
      cacheRead: count(usage.cacheRead),
      cacheWrite: count(usage.cacheWrite),
      output: count(usage.output),
      reasoning: count(usage.reasoning),
    }),
    costMicros: before.costMicros + count(record.costMicros),
    unpricedCalls: before.unpricedCalls + (typeof record.costMicros === "number" ? 0 : 1),
  });
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "unknown";
}

function count(value: Json | undefined): number {
  return typeof value === "number" ? value : 0;
}

export function sumUse(byModel: readonly ModelUse[]): UseSum {
  return byModel.reduce<UseSum>(
    (sum, use) => ({
      calls: sum.calls + use.calls,
      usage: addUsage(sum.usage, use.usage),
      costMicros: sum.costMicros + use.costMicros,
      unpricedCalls: sum.unpricedCalls + use.unpricedCalls,
    }),
    NOTHING_USED,
  );
}
