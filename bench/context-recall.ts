/**
 * How well the repository context finds the files that real commits changed, from their messages alone.
 *
 *   node bench/context-recall.ts [--repo PATH …] [--commits N] [--skip N] [--k 10,20,40] [--budget TOKENS]
 *                                 [--fresh] [--json]
 *
 * For each of the last N commits (no merges) that changed 1 to 15 files of its parent's tree, the parent's tree is
 * ranked with the history up to the parent and the commit's message as the task; added files do not count. The same
 * is asked of plain BM25 over contents and paths, and of the first files in path order. `--fresh` leaves out commits
 * whose title, but for numbers, an older commit has too (version bumps, reverts, backports): history knows those.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { readBlobs } from "../src/adapters/context/blobs.ts";
import { type GitCall, gitRecords } from "../src/adapters/context/git.ts";
import { listFiles } from "../src/adapters/context/listing.ts";
import { createRepoContexts } from "../src/adapters/context/repo-contexts.ts";
import { identifiers, wordsOf } from "../src/adapters/context/words.ts";
import type { RepoContexts } from "../src/contracts/repo-context.ts";

const MAX_CHANGED = 15;
const MAX_HISTORY = 20_000;
const DEFAULT_COMMITS = 100;
const DEFAULT_BUDGET_TOKENS = 8_000;
const DEFAULT_KS = [10, 20, 40];

export interface RecallOptions {
  /** Absolute path of a work tree or a bare repository. */
  readonly repo: string;
  readonly commits: number;
  /** Newest commits left out, so that tuning and measuring can use different ones. */
  readonly skip: number;
  /** Only commits whose title no older commit has. */
  readonly fresh: boolean;
  readonly ks: readonly number[];
  readonly budgetTokens: number;
  readonly cacheDir: string;
}

export interface Recall {
  /** Share of the changed files among the first k, by k; mean over commits. */
  readonly recall: Readonly<Record<number, number>>;
  /** 1 / place of the first changed file, 0 when none is found; mean over commits. */
  readonly mrr: number;
}

export interface RecallReport {
  readonly repo: string;
  readonly commits: number;
  /** Mean number of files in the ranked trees. */
  readonly files: number;
  readonly methods: Readonly<Record<"ours" | "bm25" | "naive", Recall>>;
  /** Milliseconds of one of our rankings: the first one, which reads everything, and the median of all. */
  readonly firstMs: number;
  readonly medianMs: number;
}

interface Change {
  readonly commit: string;
  readonly parent: string;
  readonly message: string;
  readonly files: ReadonlySet<string>;
}

export async function measureContextRecall(options: RecallOptions): Promise<RecallReport> {
  const call: GitCall = { git: "git", environment: process.env, cwd: options.repo, signal: undefined };
  const changes = await lastChanges(call, options);
  const contexts = createRepoContexts({
    environment: process.env,
    cacheDir: options.cacheDir,
    now: () => performance.now(),
  });
  const bm25 = new PlainBm25(call);
  const tallies = { ours: new Tally(options.ks), bm25: new Tally(options.ks), naive: new Tally(options.ks) };
  const times: number[] = [];
  let files = 0;
  try {
    for (const change of changes) {
      const { files: listed } = await listFiles(call, change.parent);
      files += listed.length;
      const ours = await rankOurs(contexts, change, options);
      times.push(ours.ms);
      tallies.ours.add(ours.paths, change.files);
      tallies.bm25.add(await bm25.rank(listed, change.message), change.files);
      tallies.naive.add(
        listed.map((file) => file.path),
        change.files,
      );
    }
  } finally {
    await contexts.close();
  }
  return {
    repo: options.repo,
    commits: changes.length,
    files: Math.round(files / Math.max(1, changes.length)),
    methods: { ours: tallies.ours.result(), bm25: tallies.bm25.result(), naive: tallies.naive.result() },
    firstMs: times[0] ?? 0,
    medianMs: times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0,
  };
}

async function rankOurs(
  contexts: RepoContexts,
  change: Change,
  { repo, budgetTokens, ks }: RecallOptions,
): Promise<{ readonly paths: readonly string[]; readonly ms: number }> {
  const request = { repo, ref: change.parent, task: change.message, budgetTokens, maxFiles: Math.max(...ks) };
  const ranked = await contexts.rank(request);
  if (!ranked.ok) throw new Error(`${change.commit}: ${ranked.failure.code}: ${ranked.failure.message}`);
  return { paths: ranked.value.files.map((file) => file.path), ms: ranked.value.ms };
}

/** The newest commits that fit, with the files of their parent that they changed, deleted or renamed. */
async function lastChanges(
  call: GitCall,
  { commits, skip, fresh }: RecallOptions,
): Promise<readonly Change[]> {
  const all: Change[] = [];
  for await (const change of changesOf(call)) all.push(change);
  const seen = new Set<string>();
  const fit: Change[] = [];
  for (const change of all.toReversed()) {
    const title = (change.message.split("\n")[0] ?? "")
      .toLowerCase()
      .replaceAll(/[\d#.()]+/g, " ")
      .trim();
    const isNew = !seen.has(title);
    seen.add(title);
    if (change.files.size >= 1 && change.files.size <= MAX_CHANGED && (isNew || !fresh)) fit.push(change);
  }
  return fit.toReversed().slice(skip, skip + commits);
}

/** Commits with a parent and a message, newest first. */
async function* changesOf(call: GitCall): AsyncGenerator<Change, void, undefined> {
  const format = "--format=%x01%H %P%x00%B%x00";
  const walk = ["log", "--no-merges", `--max-count=${MAX_HISTORY}`, "-z", "--name-status", "--no-renames"];
  let open: { head: string; message: string | null; status: string; files: Set<string> } | null = null;
  const close = (): Change[] => {
    const [commit = "", parent = ""] = open?.head.split(" ") ?? [];
    const message = open?.message?.trim() ?? "";
    return parent === "" || message === ""
      ? []
      : [{ commit, parent, message, files: open?.files ?? new Set() }];
  };
  for await (const record of gitRecords(call, { args: [...walk, format, "HEAD", "--"] })) {
    if (record.startsWith("\u0001")) {
      yield* close();
      open = { head: record.slice(1), message: null, status: "", files: new Set() };
    } else if (open === null) continue;
    else if (open.message === null) open.message = record;
    else if (open.status === "") open.status = record.trim();
    else {
      if (open.status !== "A") open.files.add(record);
      open.status = "";
    }
  }
  yield* close();
}

class Tally {
  readonly #ks: readonly number[];
  readonly #recalls: number[];
  #reciprocal = 0;
  #count = 0;

  constructor(ks: readonly number[]) {
    this.#ks = ks;
    this.#recalls = ks.map(() => 0);
  }

  add(ranked: readonly string[], changed: ReadonlySet<string>): void {
    const places = [...changed].map((file) => ranked.indexOf(file)).filter((place) => place >= 0);
    this.#ks.forEach((k, i) => {
      this.#recalls[i] = (this.#recalls[i] ?? 0) + places.filter((place) => place < k).length / changed.size;
    });
    if (places.length > 0) this.#reciprocal += 1 / (Math.min(...places) + 1);
    this.#count += 1;
  }

  result(): Recall {
    const mean = (sum: number): number => Math.round((1_000 * sum) / Math.max(1, this.#count)) / 1_000;
    return {
      recall: Object.fromEntries(this.#ks.map((k, i) => [k, mean(this.#recalls[i] ?? 0)])),
      mrr: mean(this.#reciprocal),
    };
  }
}

interface WordCounts {
  readonly counts: ReadonlyMap<string, number>;
  readonly total: number;
}

/** The textbook: one bag of words a file (contents and path), k1 = 1.2, b = 0.75, with the same splitting and stemming as ours. */
class PlainBm25 {
  readonly #call: GitCall;
  readonly #bags = new Map<string, WordCounts>();

  constructor(call: GitCall) {
    this.#call = call;
  }

  async rank(
    files: readonly { readonly path: string; readonly blob: string | null }[],
    task: string,
  ): Promise<readonly string[]> {
    await this.#read(
      [...new Set(files.map(({ blob }) => blob ?? ""))].filter((blob) => !this.#bags.has(blob)),
    );
    const docs = files.map(({ path: name, blob }) => {
      const contents = this.#bags.get(blob ?? "") ?? bagOf("");
      const own = bagOf(name);
      const count = (word: string): number => (contents.counts.get(word) ?? 0) + (own.counts.get(word) ?? 0);
      return { name, count, total: contents.total + own.total };
    });
    const mean = docs.reduce((sum, { total }) => sum + total, 0) / Math.max(1, docs.length);
    const scores = new Float64Array(docs.length);
    for (const word of bagOf(task).counts.keys()) {
      const having = docs.reduce((sum, doc) => sum + (doc.count(word) > 0 ? 1 : 0), 0);
      const rarity = Math.log(1 + (docs.length - having + 0.5) / (having + 0.5));
      docs.forEach((doc, i) => {
        const count = doc.count(word);
        if (count === 0) return;
        const norm = 1.2 * (0.25 + (0.75 * doc.total) / mean);
        scores[i] = (scores[i] ?? 0) + (rarity * count * 2.2) / (count + norm);
      });
    }
    const order = docs.map((_, i) => i).filter((i) => (scores[i] ?? 0) > 0);
    return order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b).map((i) => docs[i]?.name ?? "");
  }

  async #read(blobs: readonly string[]): Promise<void> {
    for await (const { blob, content } of readBlobs(this.#call, blobs, false)) {
      const isText = content.kind === "bytes" && !content.bytes.subarray(0, 8_000).includes(0);
      this.#bags.set(blob, bagOf(isText ? content.bytes.toString("utf8") : ""));
    }
  }
}

function bagOf(text: string): WordCounts {
  const counts = new Map<string, number>();
  let total = 0;
  for (const name of identifiers(text)) {
    for (const word of wordsOf(name)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      total += 1;
    }
  }
  return { counts, total };
}

function table(reports: readonly RecallReport[], ks: readonly number[]): string {
  const head = [
    "repository",
    "commits",
    "files",
    "method",
    ...ks.map((k) => `recall@${k}`),
    "MRR",
    "first ms",
    "median ms",
  ];
  const rows = reports.flatMap((report) =>
    (["ours", "bm25", "naive"] as const).map((method) => {
      const { recall, mrr } = report.methods[method];
      const times =
        method === "ours" ? [report.firstMs, report.medianMs].map((ms) => ms.toFixed(0)) : ["", ""];
      const figures = [...ks.map((k) => recall[k] ?? 0), mrr].map((figure) => figure.toFixed(3));
      return [
        report.repo.split(/[\\/]/).slice(-2).join("/"),
        report.commits,
        report.files,
        method,
        ...figures,
        ...times,
      ].map(String);
    }),
  );
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      repo: { type: "string", multiple: true, default: [path.join(import.meta.dirname, "..")] },
      commits: { type: "string", default: String(DEFAULT_COMMITS) },
      skip: { type: "string", default: "0" },
      k: { type: "string", default: DEFAULT_KS.join(",") },
      budget: { type: "string", default: String(DEFAULT_BUDGET_TOKENS) },
      fresh: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const ks = values.k.split(",").map(Number);
  const cacheDir = await mkdtemp(path.join(tmpdir(), "context-recall-"));
  try {
    const reports: RecallReport[] = [];
    for (const repo of values.repo) {
      const options = {
        commits: Number(values.commits),
        skip: Number(values.skip),
        ks,
        budgetTokens: Number(values.budget),
        fresh: values.fresh,
      };
      reports.push(await measureContextRecall({ ...options, repo: path.resolve(repo), cacheDir }));
    }
    console.log(values.json ? JSON.stringify(reports, null, 2) : table(reports, ks));
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

if (import.meta.main) await main();
