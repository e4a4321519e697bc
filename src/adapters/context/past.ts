import type { PastCommit } from "./history.ts";

/** Commits after which the weight of a change has fallen to 1/e. */
const MESSAGE_FADE = 1_500;
const RECENT_FADE = 250;
const TOGETHER_FADE = 1_000;
/** How much more the best matching messages count than the others. */
const SIMILARITY_POWER = 3;
/** How much a matching message is worth less for each file when its commit changed many. */
const COMPANY_POWER = 0.7;
const SATURATION = 1;
const LENGTH_PENALTY = 0.4;
/** Added to a seed's number of commits: one joint commit is no habit. */
const TOGETHER_DOUBT = 2;

/** For each file how well the messages of the commits that changed it match the task. */
export function messageScores(
  commits: readonly PastCommit[],
  words: ReadonlyMap<number, number>,
  size: number,
): Float64Array {
  const scores = new Float64Array(size);
  const similar = messageSimilarity(commits, words);
  commits.forEach((commit, age) => {
    const similarity = similar[age] as number;
    if (similarity === 0 || commit.files.length === 0) return;
    const share =
      (similarity ** SIMILARITY_POWER * Math.exp(-age / MESSAGE_FADE)) / commit.files.length ** COMPANY_POWER;
    for (const file of commit.files) scores[file] = (scores[file] as number) + share;
  });
  return scores;
}

/** BM25 of each commit's message for the words of the task. */
function messageSimilarity(commits: readonly PastCommit[], words: ReadonlyMap<number, number>): Float64Array {
  const having = new Map<number, number>();
  let total = 0;
  for (const { words: message } of commits) {
    total += message.size;
    for (const word of words.keys()) if (message.has(word)) having.set(word, (having.get(word) ?? 0) + 1);
  }
  const mean = Math.max(1, total / Math.max(1, commits.length));
  const rarity = new Map(
    [...having].map(([word, n]) => [word, Math.log(1 + (commits.length - n + 0.5) / (n + 0.5))] as const),
  );
  return Float64Array.from(commits, ({ words: message }) => {
    const norm = 1 - LENGTH_PENALTY + (LENGTH_PENALTY * message.size) / mean;
    let score = 0;
    for (const [word, weight] of words) {
      const frequency = (message.get(word) ?? 0) / norm;
      if (frequency > 0) score += (weight * (rarity.get(word) ?? 0) * frequency) / (SATURATION + frequency);
    }
    return score;
  });
}

/** How often and how lately each file was changed. */
export function recentScores(commits: readonly PastCommit[], size: number): Float64Array {
  const scores = new Float64Array(size);
  commits.forEach(({ files }, age) => {
    if (files.length === 0) return;
    const share = Math.exp(-age / RECENT_FADE) / Math.sqrt(files.length);
    for (const file of files) scores[file] = (scores[file] as number) + share;
  });
  return scores.map((score) => Math.log1p(score));
}

/** How likely each file is to change together with the seeds (file → weight, the weights adding up to 1 or less). */
export function togetherScores(
  commits: readonly PastCommit[],
  seeds: ReadonlyMap<number, number>,
  size: number,
): Float64Array {
  const joint = new Map<number, Map<number, number>>();
  const alone = new Map<number, number>();
  commits.forEach(({ files }, age) => {
    const weight = Math.exp(-age / TOGETHER_FADE) / Math.log2(1 + files.length);
    for (const seed of files) {
      if (!seeds.has(seed)) continue;
      alone.set(seed, (alone.get(seed) ?? 0) + weight);
      const others = joint.get(seed) ?? new Map<number, number>();
      joint.set(seed, others);
      for (const file of files) if (file !== seed) others.set(file, (others.get(file) ?? 0) + weight);
    }
  });
  const scores = new Float64Array(size);
  for (const [seed, others] of joint) {
    const trust = (seeds.get(seed) ?? 0) / ((alone.get(seed) ?? 0) + TOGETHER_DOUBT);
    for (const [file, weight] of others) scores[file] = (scores[file] as number) + trust * weight;
  }
  return scores;
}
