import type { PastCommit } from "./history.ts";
import { togetherScores } from "./past.ts";
import { isTest, pathFactor, subjectOf } from "./paths.ts";

/** What speaks for a file, each signal between 0 and 1. */
export type SignalName = "words" | "path" | "messages" | "recent" | "named" | "together" | "graph" | "pair";
export type Signals = Readonly<Record<SignalName, Float64Array>>;
export type Weights = Readonly<Record<SignalName, number>>;

export const WEIGHTS: Weights = {
  words: 1,
  path: 0.3,
  messages: 1.5,
  recent: 0.15,
  named: 1.5,
  together: 0.15,
  graph: 0.05,
  pair: 0.05,
};

/** A name given in the task that fits more files than this is no name. */
const MAX_NAMED_FITS = 8;
const MAX_SUBJECT_FILES = 6;
const SEEDS = 12;

/** Between 0 and 1 by the highest value; all zeros stay zeros. */
export function scaled(values: Float64Array): Float64Array {
  let top = 0;
  for (const value of values) if (value > top) top = value;
  return top === 0 ? values : values.map((value) => value / top);
}

/** 1 for a file whose path the task names; less when the name fits several files. */
export function namedScores(paths: readonly string[], named: readonly string[]): Float64Array {
  const scores = new Float64Array(paths.length);
  if (named.length === 0) return scores;
  const byName = new Map<string, number[]>();
  paths.forEach((path, file) => {
    const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
    const files = byName.get(name);
    if (files === undefined) byName.set(name, [file]);
    else files.push(file);
  });
  for (const wanted of named) {
    const lower = wanted.toLowerCase();
    const alike = byName.get(lower.slice(lower.lastIndexOf("/") + 1)) ?? [];
    const fits = alike.filter((file) => `/${(paths[file] as string).toLowerCase()}`.endsWith(`/${lower}`));
    const exact = fits.filter((file) => paths[file] === wanted);
    const chosen = exact.length > 0 ? exact : fits;
    if (chosen.length > MAX_NAMED_FITS) continue;
    for (const file of chosen) scores[file] = Math.max(scores[file] as number, 1 / chosen.length);
  }
  return scores;
}

/** For a test its subject's score, for a subject its test's. */
export function pairScores(paths: readonly string[], scores: Float64Array): Float64Array {
  const bySubject = new Map<string, number[]>();
  paths.forEach((path, file) => {
    const subject = subjectOf(path);
    if (subject === "") return;
    const files = bySubject.get(subject);
    if (files === undefined) bySubject.set(subject, [file]);
    else files.push(file);
  });
  const pairs = new Float64Array(paths.length);
  for (const files of bySubject.values()) {
    if (files.length < 2 || files.length > MAX_SUBJECT_FILES) continue;
    for (const file of files) {
      const test = isTest(paths[file] as string);
      for (const other of files) {
        if (isTest(paths[other] as string) !== test) {
          pairs[file] = Math.max(pairs[file] as number, scores[other] as number);
        }
      }
    }
  }
  return pairs;
}

/** The best files by a first score, with weights that add up to 1. */
export function seedsOf(scores: Float64Array, count: number): ReadonlyMap<number, number> {
  const best = topOf(scores, count).filter((file) => (scores[file] as number) > 0);
  const total = best.reduce((sum, file) => sum + (scores[file] as number) ** 2, 0);
  return new Map(best.map((file) => [file, (scores[file] as number) ** 2 / total]));
}

/** Indexes of the highest values, highest first; equals in index order. */
export function topOf(scores: Float64Array, count: number): readonly number[] {
  const order = Array.from(scores, (_, i) => i);
  return order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b).slice(0, count);
}

export function together(commits: readonly PastCommit[], first: Float64Array): Float64Array {
  return scaled(togetherScores(commits, seedsOf(first, SEEDS), first.length));
}

export function weighed(signals: Partial<Signals>, weights: Weights, size: number): Float64Array {
  const scores = new Float64Array(size);
  for (const [name, values] of Object.entries(signals) as readonly (readonly [SignalName, Float64Array])[]) {
    const weight = weights[name];
    values.forEach((value, file) => {
      scores[file] = (scores[file] as number) + weight * value;
    });
  }
  return scores;
}

/** How much of its score each file keeps. */
export function factors(
  paths: readonly string[],
  contents: { readonly isGenerated: (file: number) => boolean; readonly isBinary: (file: number) => boolean },
): Float64Array {
  const GENERATED = 0.5;
  const BINARY = 0.3;
  return Float64Array.from(paths, (path, file) => {
    const own = contents.isBinary(file) ? BINARY : contents.isGenerated(file) ? GENERATED : 1;
    return Math.min(own, pathFactor(path));
  });
}
