import type { FactsCache } from "./cache.ts";
import { type GitCall, gitRecords } from "./git.ts";
import { taskWords } from "./task.ts";

/** How far back history is looked at, without merges. */
export const MAX_COMMITS = 3_000;
/** A commit that touches more is a sweep (formatting, renaming, vendoring): it says nothing about any of its files. */
const MAX_COMMIT_FILES = 60;
const MAX_MESSAGE_CHARS = 2_000;
const COMMIT_MARK = "\u0001";
const COMMITS_AT_ONCE = 500;

interface CommitRecord {
  /** Hashes of the words of its message, with weights. */
  readonly words: readonly (readonly [hash: number, weight: number])[];
  readonly files: readonly string[];
  /** Exact renames: old path, new path. */
  readonly renames: readonly (readonly [from: string, to: string])[];
}

export interface PastCommit {
  readonly words: ReadonlyMap<number, number>;
  /** Indexes into the listed files, rising. */
  readonly files: readonly number[];
}

/**
 * The last commits up to `commit`, newest first, with the files of today's listing that they changed (followed
 * through exact renames). Only commits that no earlier call has seen are read.
 */
export async function readHistory(
  call: GitCall,
  commit: string,
  sources: {
    readonly cache: FactsCache;
    readonly fileIndex: ReadonlyMap<string, number>;
    readonly touched: string[];
  },
): Promise<readonly PastCommit[]> {
  const wanted: string[] = [];
  const args = ["rev-list", "--no-merges", `--max-count=${MAX_COMMITS}`, commit, "--"];
  for await (const text of linesOf(call, args)) wanted.push(text);
  const records = new Map<string, CommitRecord>();
  const unknown: string[] = [];
  for (const hash of wanted) {
    const stored = sources.cache.commit(hash, sources.touched);
    if (stored === null) unknown.push(hash);
    else records.set(hash, JSON.parse(stored) as CommitRecord);
  }
  for (let at = 0; at < unknown.length; at += COMMITS_AT_ONCE) {
    const read = await readCommits(call, unknown.slice(at, at + COMMITS_AT_ONCE));
    for (const [hash, record] of read) records.set(hash, record);
    sources.cache.writeCommits([...read].map(([hash, record]) => [hash, JSON.stringify(record)]));
  }
  return followRenames(wanted, records, sources.fileIndex);
}

async function* linesOf(call: GitCall, args: readonly string[]): AsyncGenerator<string, void, undefined> {
  for await (const record of gitRecords(call, { args })) {
    for (const line of record.split("\n")) if (line !== "") yield line;
  }
}

async function readCommits(
  call: GitCall,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, CommitRecord>> {
  // Only exact renames: others would need contents, which a partial clone may lack and a large history makes slow.
  const args = [
    "log",
    "--no-walk=unsorted",
    "--stdin",
    "-z",
    "--name-status",
    "--find-renames=100%",
    "--no-color",
  ];
  const format = `--format=${COMMIT_MARK}%H%x00%B%x00`;
  const readers: RecordReader[] = [];
  const stdin = [`${hashes.join("\n")}\n`];
  for await (const text of gitRecords(call, { args: [...args, format], stdin })) {
    const reader = readers.at(-1);
    if (text.startsWith(COMMIT_MARK) && reader?.isInside() !== true) {
      readers.push(new RecordReader(text.slice(COMMIT_MARK.length)));
    } else reader?.take(text);
  }
  return new Map(readers.map((reader) => [reader.hash, reader.record()]));
}

/** Takes the records of one commit in git's order: its message, then a status and one or two paths a file. */
class RecordReader {
  readonly hash: string;
  #message: string | null = null;
  #status: string | null = null;
  #from: string | null = null;
  readonly #files: string[] = [];
  readonly #renames: [string, string][] = [];

  constructor(hash: string) {
    this.hash = hash;
  }

  /** Whether the next record is a message or a path, whatever it looks like. */
  isInside(): boolean {
    return this.#message === null || this.#status !== null;
  }

  take(text: string): void {
    if (this.#message === null) this.#message = text;
    else if (this.#status === null) this.#status = text.trim() === "" ? null : text.trim();
    else if (/^[RC]/.test(this.#status) && this.#from === null) this.#from = text;
    else {
      if (this.#status.startsWith("R") && this.#from !== null) this.#renames.push([this.#from, text]);
      this.#files.push(text);
      this.#status = null;
      this.#from = null;
    }
  }

  record(): CommitRecord {
    const words = taskWords((this.#message ?? "").slice(0, MAX_MESSAGE_CHARS));
    return {
      words: [...words].map(([hash, weight]) => [hash, Math.round(weight * 100) / 100]),
      files: this.#files.length > MAX_COMMIT_FILES ? [] : this.#files,
      renames: this.#renames,
    };
  }
}

function followRenames(
  newestFirst: readonly string[],
  records: ReadonlyMap<string, CommitRecord>,
  fileIndex: ReadonlyMap<string, number>,
): readonly PastCommit[] {
  /** What a path of the time being looked at is called today. */
  const today = new Map<string, string>();
  const commits: PastCommit[] = [];
  for (const hash of newestFirst) {
    const record = records.get(hash);
    if (record === undefined) continue;
    const files = new Set<number>();
    for (const file of record.files) {
      const index = fileIndex.get(today.get(file) ?? file);
      if (index !== undefined) files.add(index);
    }
    for (const [from, to] of record.renames) today.set(from, today.get(to) ?? to);
    commits.push({ words: new Map(record.words), files: [...files].sort((a, b) => a - b) });
  }
  return commits;
}
