/** What was seen of one call: when it was meant to begin, in ms, and what it is judged by, in ms. */
export interface Sample {
  readonly at: number;
  readonly ms: number;
}

/** A figure with the interval that holds it in 95 of 100 repetitions; ms. */
export interface Figure {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Calls of one second share its hiccups, so whole seconds are drawn: single calls would make the intervals too narrow. */
const BLOCK_MS = 1_000;
const RESAMPLES = 400;
const OUTSIDE = 0.025;

export function quantile(values: Float64Array, share: number): number {
  const sorted = values.toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The quantile of one way's calls. */
export function quantileOf(samples: readonly Sample[], share: number): Figure {
  return bootstrapped([samples], ([one]) => quantile(one as Float64Array, share));
}

/** By how much a quantile of one way's calls is above that of another that ran beside it: the same seconds of both are drawn. */
export function quantileAbove(of: readonly Sample[], than: readonly Sample[], share: number): Figure {
  return bootstrapped(
    [of, than],
    ([one, other]) => quantile(one as Float64Array, share) - quantile(other as Float64Array, share),
  );
}

function bootstrapped(
  ways: readonly (readonly Sample[])[],
  figure: (values: readonly Float64Array[]) => number,
): Figure {
  const blocks = new Map<number, number[][]>();
  for (const [index, samples] of ways.entries()) {
    for (const { at, ms } of samples) {
      const key = Math.floor(at / BLOCK_MS);
      const block = blocks.get(key) ?? ways.map(() => []);
      (block[index] as number[]).push(ms);
      blocks.set(key, block);
    }
  }
  const all = [...blocks.values()];
  const random = seeded(1);
  const of = (drawn: readonly (readonly number[][])[]) =>
    figure(ways.map((_, index) => Float64Array.from(drawn.flatMap((block) => block[index] as number[]))));
  const resampled = Float64Array.from({ length: RESAMPLES }, () =>
    of(all.map(() => all[Math.floor(random() * all.length)] as number[][])),
  );
  return {
    value: of(all),
    low: quantile(resampled, OUTSIDE),
    high: quantile(resampled, 1 - OUTSIDE),
  };
}

/** mulberry32: uniform in [0, 1), the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
