import type { Price } from "../contracts/price-source.ts";
import { NO_USAGE, type Usage } from "../domain/message.ts";
import { costMicros } from "./prices.ts";

const RING = 100;
/** Observations below which the tail says nothing, and the most is assumed. */
const ENOUGH = 20;
const TAIL = 0.95;
/** Tokens are counted from characters before a call; how far off that is is learnt from the answers. */
const DEFAULT_INPUT_RATIO = 1.25;
/** No tokenizer makes more of a text than this times the rough count. */
const WORST_INPUT_RATIO = 2;
const MAX_TRACKS = 2_000;

/** The tail of the last hundred values. */
class Tail {
  readonly #ring: number[] = [];
  #next = 0;

  add(value: number): void {
    this.#ring[this.#next % RING] = value;
    this.#next += 1;
  }

  /** `null` before there are enough. */
  get p95(): number | null {
    const { length } = this.#ring;
    if (length < ENOUGH) return null;
    const sorted = this.#ring.toSorted((a, b) => a - b);
    return sorted[Math.min(length - 1, Math.floor(length * TAIL))] ?? null;
  }
}

export interface CallSize {
  /** Rough count of the prompt. */
  readonly inputTokens: number;
  readonly maxOutputTokens: number;
}

/** Micro-dollars that a call is reserved, may come to at most, and has cost as soon as it is sent. */
export interface Estimate {
  readonly micros: number;
  readonly ceiling: number;
  readonly accrued: number;
  readonly outputTokens: number;
}

/**
 * What a call will cost: its prompt, and as many output tokens as 95 of 100 calls to this model in this stage used.
 * The most that a call may use would starve its neighbours: hardly any does.
 */
export class Estimates {
  readonly #outputs = new Map<string, Tail>();
  readonly #ratios = new Map<string, Tail>();

  /** Output tokens to reserve, and whether enough was seen to know. */
  outputTokens(of: { readonly model: string; readonly stage: string }, max: number): number {
    const p95 = this.#outputs.get(keyOf(of))?.p95 ?? null;
    return p95 === null ? max : Math.min(max, Math.max(1, Math.ceil(p95)));
  }

  knows(of: { readonly model: string; readonly stage: string }): boolean {
    return this.#outputs.has(keyOf(of));
  }

  /** What was seen before this process began. */
  recall(of: { readonly model: string; readonly stage: string }, outputs: readonly number[]): void {
    const tail = track(this.#outputs, keyOf(of));
    for (const tokens of outputs) tail.add(tokens);
  }

  observe(of: { readonly model: string; readonly stage: string }, size: CallSize, usage: Usage): void {
    track(this.#outputs, keyOf(of)).add(usage.output + usage.reasoning);
    const input = usage.input + usage.cacheRead + usage.cacheWrite;
    if (size.inputTokens > 0 && input > 0) track(this.#ratios, of.model).add(input / size.inputTokens);
  }

  /** Prompt tokens as they will be billed; long prompts may cost another rate, so the count errs upwards. */
  inputTokens(model: string, rough: number): number {
    const ratio = this.#ratios.get(model)?.p95 ?? DEFAULT_INPUT_RATIO;
    return Math.ceil(rough * Math.min(WORST_INPUT_RATIO, ratio));
  }

  /** `null` for an unknown price. */
  of(
    call: { readonly model: string; readonly stage: string; readonly price: Price | null },
    size: CallSize,
    basis: "p95" | "worst",
  ): Estimate | null {
    const { price, model } = call;
    if (price === null) return null;
    const max = size.maxOutputTokens;
    const worstInput = Math.ceil(size.inputTokens * WORST_INPUT_RATIO);
    const ceiling = priced(price, worstInput, max);
    if (basis === "worst") {
      return {
        micros: ceiling,
        ceiling,
        accrued: priced(price, size.inputTokens, 0),
        outputTokens: max,
      };
    }
    const outputTokens = this.outputTokens(call, max);
    const micros = priced(price, this.inputTokens(model, size.inputTokens), outputTokens);
    return {
      micros,
      ceiling: Math.max(ceiling, micros),
      accrued: priced(price, size.inputTokens, 0),
      outputTokens,
    };
  }
}

/** A prompt that is not read from a cache: the dearest it can be, except where writing a cache costs more. */
export function priced(price: Price, input: number, output: number): number {
  const plain = costMicros(price, { ...NO_USAGE, input, output }) ?? 0;
  const written = costMicros(price, { ...NO_USAGE, cacheWrite: input, output }) ?? 0;
  return Math.max(plain, written);
}

function keyOf({ model, stage }: { readonly model: string; readonly stage: string }): string {
  return `${model} ${stage}`;
}

function track(tracks: Map<string, Tail>, key: string): Tail {
  const known = tracks.get(key);
  if (known !== undefined) return known;
  // Names come from requests: a caller that invents models must not fill the memory.
  const [oldest] = tracks.keys();
  if (tracks.size >= MAX_TRACKS && oldest !== undefined) tracks.delete(oldest);
  const made = new Tail();
  tracks.set(key, made);
  return made;
}
