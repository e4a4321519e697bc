import type { FactsCache } from "./cache.ts";
import { ALL_FIELDS, PATH_FIELDS } from "./corpus.ts";
import { ReferenceGraph } from "./graph.ts";
import { type PastCommit, readHistory } from "./history.ts";
import type { Listing } from "./listing.ts";
import type { OutlineEntry } from "./outline.ts";
import { messageScores, recentScores } from "./past.ts";
import type { MapFile } from "./render.ts";
import { Scan, type ScanParts } from "./scan.ts";
import {
  factors,
  namedScores,
  pairScores,
  type SignalName,
  type Signals,
  scaled,
  seedsOf,
  together,
  topOf,
  WEIGHTS,
  weighed,
} from "./signals.ts";
import { namedPaths, taskWords } from "./task.ts";
import { hashWord, identifiers, wordsOf } from "./words.ts";

/** Files among which references are followed: the best ones by the other signals. */
const GRAPH_FILES = 4_000;
const GRAPH_SEEDS = 40;
const LOWEST_SCORE = 0.0001;

export interface Ranking {
  readonly scan: Scan;
  readonly commits: readonly PastCommit[];
  readonly signals: Signals;
  /** By listed file; the highest is 1 unless all are 0. */
  readonly scores: Float64Array;
  readonly graph: ReferenceGraph;
  /** Words of the task by how much they tell, the most telling 1. */
  readonly termWeights: ReadonlyMap<number, number>;
}

/** Every signal for every listed file, and what they make together. */
export async function rankFiles(
  listing: Listing,
  task: string,
  parts: ScanParts & { readonly touchedCommits: string[] },
): Promise<Ranking> {
  const words = taskWords(task);
  const paths = listing.files.map(({ path }) => path);
  const scan = await Scan.run(listing, words, parts);
  const fileIndex = new Map(paths.map((path, file) => [path, file] as const));
  const sources = { cache: parts.cache, fileIndex, touched: parts.touchedCommits };
  const commits = listing.commit === null ? [] : await readHistory(parts.call, listing.commit, sources);

  const direct = {
    words: scaled(scan.corpus.lexicalScores(ALL_FIELDS)),
    path: scaled(scan.corpus.lexicalScores(PATH_FIELDS)),
    messages: scaled(messageScores(commits, words, paths.length)),
    recent: scaled(recentScores(commits, paths.length)),
    named: namedScores(paths, namedPaths(task)),
  };
  const kept = factors(paths, {
    isGenerated: (file) => scan.generated[file] === 1,
    isBinary: (file) => scan.binary[file] === 1,
  });
  const first = weighed(direct, WEIGHTS, paths.length).map((score, file) => score * (kept[file] as number));
  const graph = new ReferenceGraph();
  const signals: Signals = {
    ...direct,
    together: together(commits, first),
    graph: await graphScores(graph, { scan, first, task, parts }),
    pair: scaled(pairScores(paths, first)),
  };
  const all = weighed(signals, WEIGHTS, paths.length).map((score, file) => score * (kept[file] as number));
  return { scan, commits, signals, scores: scaled(all), graph, termWeights: scan.corpus.termWeights() };
}

async function graphScores(
  graph: ReferenceGraph,
  from: {
    readonly scan: Scan;
    readonly first: Float64Array;
    readonly task: string;
    readonly parts: ScanParts;
  },
): Promise<Float64Array> {
  const { scan, first, parts } = from;
  const nodes = topOf(first, GRAPH_FILES).filter((file) => scan.keys[file] !== null);
  for (const add of ["addDefinitions", "addReferences"] as const) {
    for (const file of nodes) {
      await parts.pace.step();
      const facts = parts.cache.facts(scan.keys[file] as string, []);
      if (facts !== null) graph[add](facts);
    }
  }
  const seeds = new Float64Array(nodes.length);
  const weights = seedsOf(first, GRAPH_SEEDS);
  nodes.forEach((file, node) => {
    seeds[node] = weights.get(file) ?? 0;
  });
  const named = new Set([...identifiers(from.task)].map(hashWord));
  const ranks = graph.rank(seeds, named);
  const scores = new Float64Array(first.length);
  nodes.forEach((file, node) => {
    scores[file] = ranks[node] as number;
  });
  return scaled(scores);
}

/** The ranked files as the map wants them, best first, without those for which nothing speaks. */
export function mapFiles(
  listing: Listing,
  ranking: Ranking,
  parts: { readonly cache: FactsCache; readonly maxFiles: number },
): readonly MapFile[] {
  const { scores, signals, scan } = ranking;
  const best = topOf(scores, parts.maxFiles).filter((file) => (scores[file] as number) > 0);
  return best.map((file) => {
    const key = scan.keys[file] ?? null;
    return {
      path: listing.files[file]?.path ?? "",
      score: Math.max(LOWEST_SCORE, round(scores[file] as number)),
      reasons: reasonsOf(signals, file),
      lines: scan.corpus.lines[file] as number,
      symbols: () => {
        const entries = key === null ? [] : parts.cache.outline(key);
        return entries.map((entry) => ({ entry, relevance: relevance(entry, ranking) }));
      },
    };
  });
}

function reasonsOf(signals: Signals, file: number): Readonly<Record<string, number>> {
  const shares = (Object.entries(signals) as readonly (readonly [SignalName, Float64Array])[])
    .map(([name, values]) => [name, WEIGHTS[name] * (values[file] as number)] as const)
    .filter(([, share]) => share > 0);
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  return Object.fromEntries(
    shares.map(([name, share]) => [name, round(share / total)]).filter(([, share]) => share !== 0),
  );
}

/** Kinds shown even when neither the task nor another file speaks of them. */
const KIND_RELEVANCE: Readonly<Record<string, number>> = {
  class: 0.3,
  interface: 0.25,
  function: 0.2,
  type: 0.15,
  enum: 0.15,
  module: 0.1,
};
const USERS_RELEVANCE = 0.15;

/** How much a definition matters for the task: by the words of its name, by who uses it, by its kind; 0 for not at all. */
function relevance(entry: OutlineEntry, { termWeights, graph }: Ranking): number {
  let matches = 0;
  for (const part of identifiers(entry.name)) {
    for (const word of wordsOf(part)) matches += termWeights.get(hashWord(word)) ?? 0;
  }
  const users = USERS_RELEVANCE * Math.log1p(graph.usersOf(hashWord(entry.name)));
  return matches + users + (KIND_RELEVANCE[entry.kind] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
