import type { Result } from "../domain/errors.ts";

/** What is to be done, where, and how much of the repository may be shown for it. */
export interface ContextRequest {
  /** Absolute path of a work tree (or a folder inside one: the whole tree is ranked) or of a bare repository. */
  readonly repo: string;
  /**
   * Branch, tag or commit whose tree is ranked, with the history up to it. Absent means the work tree as it is
   * on disk, with uncommitted and untracked (not ignored) files; for a bare repository it means HEAD.
   */
  readonly ref?: string;
  /** The task in the words of whoever wants it; its first line counts as the title, and 40,000 characters count. */
  readonly task: string;
  /** Upper bound of `RepoContext.tokens`, in estimated tokens. */
  readonly budgetTokens: number;
  /** Upper bound of `RepoContext.files.length`. */
  readonly maxFiles?: number;
  readonly signal?: AbortSignal;
}

/** A definition in a file. */
export interface ContextSymbol {
  readonly name: string;
  /** `class`, `function`, `method`, `interface`, `type`, `enum`, `constant`, `module`, `heading`, … */
  readonly kind: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface RankedFile {
  /** Relative to the root of the repository, with `/` on every system. */
  readonly path: string;
  /** In (0, 1], falling along the list. */
  readonly score: number;
  /** The share of each signal in the score, by name: `words`, `messages`, `graph`, `named`, … */
  readonly reasons: Readonly<Record<string, number>>;
  /** The definitions shown for this file in `RepoContext.text`, in line order. */
  readonly symbols: readonly ContextSymbol[];
  /** Estimated tokens of this file's part of `RepoContext.text`. */
  readonly tokens: number;
}

/** Why a file's contents were not read. Such a file is still ranked by its path and history, except those `left out`. */
export interface FilesSkipped {
  /** Contents with NUL bytes. */
  readonly binary: number;
  /** Contents over the reader's limit. */
  readonly tooLarge: number;
  /** Pointers of git-lfs: the contents are elsewhere. */
  readonly lfsPointer: number;
  /** Not to be had here: a partial clone's absent object, or a file that vanished or may not be read. */
  readonly unreadable: number;
  /** Left out: another repository's commit. */
  readonly submodule: number;
  /** Left out: never followed. */
  readonly symlink: number;
  /** Left out: outside the sparse checkout. */
  readonly sparse: number;
  /** Left out: more files than the reader's limit. */
  readonly overLimit: number;
}

export interface RepoContext {
  /** Best first; exactly the files of `text`. */
  readonly files: readonly RankedFile[];
  /** The map shown to a model: a line a file, then its definitions. */
  readonly text: string;
  /** Estimated tokens of `text`: UTF-8 bytes / 3, rounded up (code has 3 to 4 bytes a token, so this errs high). */
  readonly tokens: number;
  readonly budgetTokens: number;
  /** Files considered, that is all listed ones but those left out. */
  readonly filesSeen: number;
  readonly filesSkipped: FilesSkipped;
  /** Commits whose messages and changes were used. */
  readonly commitsSeen: number;
  /** Files whose facts were in the cache. */
  readonly cacheHits: number;
  /** Contents read and analysed by this call. */
  readonly blobsRead: number;
  readonly ms: number;
}

/**
 * The part of a repository that matters for a task. Deterministic: the same tree, history, task and budget give
 * the same files and text. Never throws; failures: `invalid_request`, `not_a_repository`, `empty_repository`,
 * `git_missing`, `git_failed`, `canceled`, `disk_full`, `read_only`, `internal`.
 */
export interface RepoContexts {
  rank(request: ContextRequest): Promise<Result<RepoContext>>;
  /** Closes the cache; calls under way end first. May be called twice. */
  close(): Promise<void>;
}
