import { type BlobContent, readBlobs, readFromDisk } from "./blobs.ts";
import type { FactsCache } from "./cache.ts";
import { Corpus } from "./corpus.ts";
import { type Extracted, extract, type FileFacts } from "./facts.ts";
import type { GitCall } from "./git.ts";
import type { Outliner } from "./grammars.ts";
import { extensionOf } from "./languages.ts";
import type { Listing } from "./listing.ts";
import type { Pace } from "./pace.ts";

/** Facts written in one transaction. */
const WRITE_BATCH = 200;

export interface ScanParts {
  readonly call: GitCall;
  readonly cache: FactsCache;
  readonly outliner: Outliner;
  readonly pace: Pace;
  readonly touched: string[];
}

export interface Unread {
  binary: number;
  tooLarge: number;
  lfsPointer: number;
  unreadable: number;
}

/** Every listed file's facts, seen once and let go: what stays is what the words of the task need. */
export class Scan {
  readonly corpus: Corpus;
  /** Key of each file's facts in the cache; `null` when its contents could not be read. */
  readonly keys: (string | null)[];
  readonly unread: Unread = { binary: 0, tooLarge: 0, lfsPointer: 0, unreadable: 0 };
  readonly binary: Uint8Array;
  readonly generated: Uint8Array;
  cacheHits = 0;
  blobsRead = 0;
  readonly #listing: Listing;
  readonly #parts: ScanParts;
  #unwritten: (readonly [key: string, extracted: Extracted])[] = [];

  private constructor(listing: Listing, words: ReadonlyMap<number, number>, parts: ScanParts) {
    const size = listing.files.length;
    this.#listing = listing;
    this.#parts = parts;
    this.corpus = new Corpus(size, words);
    this.keys = new Array<string | null>(size).fill(null);
    this.binary = new Uint8Array(size);
    this.generated = new Uint8Array(size);
  }

  static async run(listing: Listing, words: ReadonlyMap<number, number>, parts: ScanParts): Promise<Scan> {
    const scan = new Scan(listing, words, parts);
    /** Blob → key → files: contents that no earlier call has seen. */
    const missing = new Map<string, Map<string, number[]>>();
    for (const [file, { path, blob }] of listing.files.entries()) {
      await parts.pace.step();
      if (blob === null) await scan.#takeFromDisk(file, path);
      else if (!scan.#takeFromCache(file, cacheKey(blob, path))) addMissing(missing, { blob, path, file });
    }
    for await (const read of readBlobs(parts.call, [...missing.keys()], listing.partial)) {
      for (const [key, files] of missing.get(read.blob) ?? []) await scan.#takeContent(key, files, read);
    }
    scan.#flush();
    return scan;
  }

  #takeFromCache(file: number, key: string): boolean {
    const facts = this.#parts.cache.facts(key, this.#parts.touched);
    if (facts === null) return false;
    this.cacheHits += 1;
    this.keys[file] = key;
    this.#take(file, facts);
    return true;
  }

  async #takeFromDisk(file: number, path: string): Promise<void> {
    const hashName = (this.#listing.commit?.length ?? 40) > 40 ? "sha256" : "sha1";
    const read = await readFromDisk(this.#listing.root ?? "", path, hashName);
    if (read === null) {
      this.unread.unreadable += 1;
      return;
    }
    const key = cacheKey(read.blob, path);
    if (read.blob === "" || !this.#takeFromCache(file, key)) await this.#takeContent(key, [file], read);
  }

  async #takeContent(key: string, files: readonly number[], read: BlobContent): Promise<void> {
    await this.#parts.pace.step();
    if (read.content.kind === "missing") {
      this.unread.unreadable += files.length;
      for (const file of files) this.corpus.addPath(file, this.#pathOf(file));
      return;
    }
    this.blobsRead += 1;
    const extracted = await extract(this.#pathOf(files[0] as number), read.content, this.#parts.outliner);
    for (const file of files) {
      this.keys[file] = read.blob === "" ? null : key;
      this.#take(file, extracted.facts);
    }
    if (read.blob === "") return;
    this.#unwritten.push([key, extracted]);
    if (this.#unwritten.length >= WRITE_BATCH) this.#flush();
  }

  #take(file: number, facts: FileFacts): void {
    if (facts.status === "binary") this.unread.binary += 1;
    else if (facts.status === "too-large") this.unread.tooLarge += 1;
    else if (facts.status === "lfs-pointer") this.unread.lfsPointer += 1;
    this.binary[file] = facts.status === "binary" || facts.status === "lfs-pointer" ? 1 : 0;
    this.generated[file] = facts.generated ? 1 : 0;
    this.corpus.addPath(file, this.#pathOf(file));
    this.corpus.addFacts(file, facts);
  }

  #flush(): void {
    if (this.#unwritten.length > 0) this.#parts.cache.writeFacts(this.#unwritten);
    this.#unwritten = [];
  }

  #pathOf(file: number): string {
    return this.#listing.files[file]?.path ?? "";
  }
}

/** The same bytes have other facts under another kind of name. */
function cacheKey(blob: string, path: string): string {
  const extension = extensionOf(path);
  return `${blob}:${extension === "" ? path.slice(path.lastIndexOf("/") + 1).slice(0, 20) : extension}`;
}

function addMissing(
  missing: Map<string, Map<string, number[]>>,
  one: { readonly blob: string; readonly path: string; readonly file: number },
): void {
  const keys = missing.get(one.blob) ?? new Map<string, number[]>();
  missing.set(one.blob, keys);
  const key = cacheKey(one.blob, one.path);
  const files = keys.get(key);
  if (files === undefined) keys.set(key, [one.file]);
  else files.push(one.file);
}
