import type { Clock } from "../../base/clock.ts";
import type { BenchStage, BenchTask, Trier } from "../../contracts/model-bench.ts";
import type { ModelGateway, ModelView } from "../../contracts/model-gateway.ts";
import type { Failure } from "../../domain/errors.ts";
import type { Usage } from "../../domain/message.ts";
import { type CheckResult, scoreAnswer, scoreNothing } from "./score.ts";

/** One call of one model for one task. */
export interface BenchCall {
  readonly stage: BenchStage;
  readonly task: string;
  readonly model: string;
  /** From 1. */
  readonly round: number;
  /** 0 to 1; 0 for a call that failed. */
  readonly score: number;
  readonly checks: readonly CheckResult[];
  /** ms; `null` for a call that failed. The total counts failed attempts and the waits between them. */
  readonly firstTokenMs: number | null;
  readonly ms: number | null;
  readonly usage: Usage;
  /** Micro-US-dollars of all attempts; `null` when the price is unknown. */
  readonly costMicros: number | null;
  /** Codes of all attempts, the last being the end. */
  readonly attempts: readonly string[];
  readonly failure: Pick<Failure, "code" | "message"> | null;
}

/** What was not asked, and why. */
export interface BenchSkip {
  readonly model: string;
  readonly calls: number;
  readonly why: string;
}

export interface BenchResult {
  readonly calls: readonly BenchCall[];
  readonly skipped: readonly BenchSkip[];
  /** Micro-US-dollars of all that has a price. */
  readonly costMicros: number;
  readonly ms: number;
}

export interface BenchRequest {
  readonly tasks: readonly BenchTask[];
  /** `provider/model`. */
  readonly models: readonly string[];
  /** How often each model does each task. */
  readonly repeat: number;
  /** Micro-US-dollars that all calls together may cost; `null` for no limit. */
  readonly maxCostMicros: number | null;
  readonly signal: AbortSignal;
  readonly onCall?: (call: BenchCall) => void;
}

interface Parts {
  readonly gateway: Pick<ModelGateway, "call" | "models">;
  readonly clock: Pick<Clock, "now">;
  readonly trier: Trier;
}

const CHARS_PER_TOKEN = 4;
const PER_MILLION = 1_000_000;

/**
 * Asks every model to do every task, one call at a time and the models by turns, so that what happens meanwhile meets
 * all of them alike. Ends early when `signal` aborts; what was not asked is in `skipped`.
 */
export async function benchModels(parts: Parts, request: BenchRequest): Promise<BenchResult> {
  const startedAt = parts.clock.now();
  const calls: BenchCall[] = [];
  const skips = new Map<string, { model: string; calls: number; why: string }>();
  const skip = (model: string, why: string) => {
    const known = skips.get(`${model} ${why}`);
    if (known === undefined) skips.set(`${model} ${why}`, { model, calls: 1, why });
    else known.calls += 1;
  };
  let spent = 0;
  for (let round = 1; round <= request.repeat; round += 1) {
    for (const task of request.tasks) {
      for (const model of request.models) {
        const why = request.signal.aborted
          ? "it was stopped"
          : unaffordable(parts, request, { model, task, spent });
        if (why !== null) {
          skip(model, why);
          continue;
        }
        const call = await oneCall(parts, { model, task, round, signal: request.signal });
        spent += call.costMicros ?? 0;
        calls.push(call);
        request.onCall?.(call);
      }
    }
  }
  const ms = parts.clock.now() - startedAt;
  return { calls, skipped: [...skips.values()], costMicros: spent, ms };
}

/** Why a call must not be made, or `null`. What it may cost at most counts, so that the limit is kept and not only noticed. */
function unaffordable(
  { gateway }: Parts,
  { maxCostMicros }: BenchRequest,
  of: { readonly model: string; readonly task: BenchTask; readonly spent: number },
): string | null {
  if (maxCostMicros === null) return null;
  const price = priceOf(gateway.models(), of.model);
  if (price === null) return "its price is unknown, so --max-cost could not be kept";
  const { system, prompt, maxOutputTokens } = of.task;
  const input = Math.ceil((system.length + prompt.length) / CHARS_PER_TOKEN);
  const most = (input * price.input + maxOutputTokens * price.output) / PER_MILLION;
  return of.spent + most <= maxCostMicros ? null : "--max-cost is reached";
}

function priceOf(models: readonly ModelView[], name: string): ModelView["price"] {
  return models.find((one) => `${one.provider}/${one.model}` === name)?.price ?? null;
}

async function oneCall(
  parts: Parts,
  of: {
    readonly model: string;
    readonly task: BenchTask;
    readonly round: number;
    readonly signal: AbortSignal;
  },
): Promise<BenchCall> {
  const { task, model, round, signal } = of;
  const result = await parts.gateway.call(
    {
      use: model,
      stage: task.stage,
      system: task.system,
      messages: [{ role: "user", text: task.prompt }],
      tools: [],
      maxOutputTokens: task.maxOutputTokens,
      temperature: 0,
      ...(task.json === null ? {} : { json: task.json }),
    },
    { signal },
  );
  const { record } = result;
  const judged = result.ok
    ? await scoreAnswer(task, result.reply.text, { trier: parts.trier, signal })
    : scoreNothing(task);
  return {
    stage: task.stage,
    task: task.id,
    model,
    round,
    ...judged,
    firstTokenMs: result.ok ? result.reply.firstTokenMs : null,
    ms: result.ok ? record.ms : null,
    usage: record.usage,
    costMicros: record.costMicros,
    attempts: record.attempts.map((attempt) => attempt.code),
    failure: result.ok ? null : { code: result.failure.code, message: result.failure.message },
  };
}
