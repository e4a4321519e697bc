import { stat } from "node:fs/promises";
import path from "node:path";
import type { ContextRequest, RepoContext, RepoContexts } from "../../contracts/repo-context.ts";
import { FailureError, fail, failure, ok, type Result } from "../../domain/errors.ts";
import { type CacheOptions, FactsCache, isDamage } from "./cache.ts";
import { FACTS_VERSION } from "./facts.ts";
import type { GitCall } from "./git.ts";
import { installedGrammars, Outliner } from "./grammars.ts";
import { listFiles } from "./listing.ts";
import { Pace } from "./pace.ts";
import { mapFiles, rankFiles } from "./rank.ts";
import { renderMap } from "./render.ts";

const DEFAULT_MAX_FILES = 100;
const MAX_MAX_FILES = 10_000;
const MAX_BUDGET_TOKENS = 1_000_000;

export interface RepoContextsOptions {
  /**
   * Folder of the cache; made when it is absent, safe to delete, safe for several processes. What it holds is found
   * by blob hash alone: give tenants who may not know of each other's code a folder each.
   */
  readonly cacheDir: string;
  /** Milliseconds since the Unix epoch: when cached facts were last used, and how long a call took. */
  readonly now: () => number;
  /** What git gets of the server's environment. */
  readonly environment: NodeJS.ProcessEnv;
  /** The git program; "git" on the PATH when absent. */
  readonly git?: string;
  /** Files and commits kept in the cache, each; the ones unused for longest go first. */
  readonly cacheMaxRows?: number;
}

export function createRepoContexts(options: RepoContextsOptions): RepoContexts {
  return new GitRepoContexts(options);
}

class GitRepoContexts implements RepoContexts {
  readonly #options: RepoContextsOptions;
  readonly #outliner = new Outliner();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #discarded: FactsCache[] = [];
  #cache: FactsCache | null = null;
  #closed = false;

  constructor(options: RepoContextsOptions) {
    this.#options = options;
  }

  async rank(request: ContextRequest): Promise<Result<RepoContext>> {
    const work = this.#rankOrRepair(request).catch(asFailure);
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#underWay);
    for (const cache of [...this.#discarded, this.#cache]) cache?.close();
    this.#discarded.length = 0;
    this.#cache = null;
  }

  /** What the cache holds can be had again, so damage found while reading costs one more try, nothing else. */
  async #rankOrRepair(request: ContextRequest): Promise<Result<RepoContext>> {
    if (this.#closed) throw new FailureError(failure("unavailable", "the repository contexts are closed"));
    await assertRequest(request);
    const cache = this.#openCache();
    try {
      return await this.#rank(request, cache);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#discard(cache);
      return this.#rank(request, this.#openCache());
    }
  }

  /** Other calls may still read from a discarded cache: it is closed with the rest. */
  #discard(cache: FactsCache): void {
    if (this.#cache !== cache) return;
    this.#discarded.push(cache);
    this.#cache = null;
    FactsCache.discard(this.#cacheOptions());
  }

  async #rank(request: ContextRequest, cache: FactsCache): Promise<Result<RepoContext>> {
    const began = this.#options.now();
    const call: GitCall = {
      git: this.#options.git ?? "git",
      environment: this.#options.environment,
      cwd: request.repo,
      signal: request.signal,
    };
    const listing = await listFiles(call, request.ref);
    if (listing.commit === null && listing.files.length === 0) {
      throw new FailureError(
        failure("empty_repository", `repo: ${request.repo} has no commit and no file yet`),
      );
    }
    const parts = {
      call,
      cache,
      outliner: this.#outliner,
      pace: new Pace(request.signal),
      touched: [],
      touchedCommits: [],
    };
    const ranking = await rankFiles(listing, request.task, parts);
    const { scan, commits } = ranking;
    const maxFiles = request.maxFiles ?? DEFAULT_MAX_FILES;
    const map = renderMap(mapFiles(listing, ranking, { cache, maxFiles }), request.budgetTokens);
    if (parts.touched.length + parts.touchedCommits.length + scan.blobsRead > 0) {
      cache.touch(parts.touched, parts.touchedCommits);
    }
    return ok({
      ...map,
      budgetTokens: request.budgetTokens,
      filesSeen: listing.files.length,
      filesSkipped: { ...scan.unread, ...listing.leftOut },
      commitsSeen: commits.length,
      cacheHits: scan.cacheHits,
      blobsRead: scan.blobsRead,
      ms: Math.max(0, Math.round(this.#options.now() - began)),
    });
  }

  #openCache(): FactsCache {
    this.#cache ??= FactsCache.open(this.#cacheOptions());
    return this.#cache;
  }

  #cacheOptions(): CacheOptions {
    const { cacheDir: dir, now, cacheMaxRows: maxRows } = this.#options;
    const version = `v${FACTS_VERSION}-${installedGrammars()?.version ?? "lines"}`;
    return { dir, version, now, ...(maxRows === undefined ? {} : { maxRows }) };
  }
}

async function assertRequest(request: ContextRequest): Promise<void> {
  const refuse = (message: string): never => {
    throw new FailureError(failure("invalid_request", message));
  };
  const { repo, ref, task, budgetTokens, maxFiles } = request;
  if (request.signal?.aborted) throw new FailureError(failure("canceled", "the ranking was canceled"));
  if (!path.isAbsolute(repo)) refuse(`repo: "${repo}" is not an absolute path`);
  if (task.trim() === "") refuse("task: it is empty, so nothing can be more relevant than anything else");
  if (ref !== undefined && (ref === "" || ref.includes("\0")))
    refuse(`ref: ${JSON.stringify(ref)} is no name of a commit`);
  if (!isCount(budgetTokens, MAX_BUDGET_TOKENS)) {
    refuse(`budgetTokens: ${budgetTokens} is not a whole number from 1 to ${MAX_BUDGET_TOKENS}`);
  }
  if (maxFiles !== undefined && !isCount(maxFiles, MAX_MAX_FILES)) {
    refuse(`maxFiles: ${maxFiles} is not a whole number from 1 to ${MAX_MAX_FILES}`);
  }
  const folder = await stat(repo).catch(() => null);
  if (folder?.isDirectory() !== true) {
    throw new FailureError(failure("not_a_repository", `repo: ${repo} is not a folder`));
  }
}

function isCount(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most;
}

function asFailure(error: unknown): Result<never> {
  if (error instanceof FailureError) return { ok: false, failure: error.failure };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return fail("internal", `the ranking failed: ${error instanceof Error ? error.message : String(error)}`, {
    stack,
  });
}
