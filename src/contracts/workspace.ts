import type { Result } from "../domain/errors.ts";

export interface WorkspaceRequest {
  readonly run: string;
  /** Absolute path of the target repository (a work tree or a bare one). */
  readonly repo: string;
  /** Branch, tag or commit to start from; absent means the repository's HEAD. */
  readonly base?: string;
  readonly branch: string;
  /** Whether uncommitted changes of the target are a reason to refuse. They are never touched or taken along. */
  readonly allowDirty: boolean;
}

/** A git worktree of its own for a run. Plain data: it is written into the journal and opened again after a crash. */
export interface Workspace {
  readonly run: string;
  readonly repo: string;
  /** Absolute path of the worktree. */
  readonly root: string;
  readonly branch: string;
  readonly baseRef: string;
  readonly baseCommit: string;
}

export interface ChangedFile {
  readonly path: string;
  /** Of a renamed file: where it was. */
  readonly from?: string;
  readonly status: "added" | "modified" | "deleted" | "renamed";
  readonly insertions: number;
  readonly deletions: number;
  readonly binary: boolean;
}

export interface Changes {
  readonly files: readonly ChangedFile[];
  /** Unified diff against the base commit, with new files; binary files by name only. */
  readonly patch: string;
  /** Hash of everything that is in the work tree: two equal ones mean nothing was written in between. */
  readonly treeHash: string;
}

export interface CommitRequest {
  readonly workspace: Workspace;
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
  /** Trailers, e.g. `Agent-Runner-Run: run_…`. The commit is found again by them. */
  readonly trailers: Readonly<Record<string, string>>;
}

export interface CommitInfo {
  readonly commit: string;
  readonly branch: string;
  readonly files: readonly ChangedFile[];
  /** Paths kept out because they look sensitive, with the reason. */
  readonly keptOut: readonly { readonly path: string; readonly reason: string }[];
}

/** The repository work. Nothing here throws; git's own words are in the failures. */
export interface Workspaces {
  /** Idempotent per run: the same request gives the same workspace again. */
  prepare(request: WorkspaceRequest, signal: AbortSignal): Promise<Result<Workspace>>;
  /** Against the base commit: committed, staged, unstaged and untracked together. */
  changes(workspace: Workspace, signal: AbortSignal): Promise<Result<Changes>>;
  /** `nothing` when there is no change to commit. A failed commit leaves index and work tree as they were. */
  commit(
    request: CommitRequest,
    signal: AbortSignal,
  ): Promise<
    Result<
      | { readonly kind: "committed"; readonly info: CommitInfo }
      | { readonly kind: "nothing"; readonly keptOut: CommitInfo["keptOut"] }
    >
  >;
  /** The commit on the branch that carries this trailer, if any: the answer to "did it happen?". */
  findCommit(
    workspace: Workspace,
    trailer: { readonly key: string; readonly value: string },
    signal: AbortSignal,
  ): Promise<Result<CommitInfo | null>>;
  /** Whether the branch would merge into the base branch as it is now. */
  conflicts(
    workspace: Workspace,
    signal: AbortSignal,
  ): Promise<Result<{ readonly baseMoved: boolean; readonly paths: readonly string[] }>>;
  push(
    workspace: Workspace,
    remote: string,
    signal: AbortSignal,
  ): Promise<Result<{ readonly remote: string; readonly ref: string; readonly commit: string }>>;
  /** The commit that the remote's branch is at, or `null`. */
  remoteCommit(workspace: Workspace, remote: string, signal: AbortSignal): Promise<Result<string | null>>;
  /** Removes worktrees of ended runs; what is dirty or unpushed stays, and says why. */
  collect(
    ended: (run: string) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<
    Result<{
      readonly removed: readonly string[];
      readonly kept: readonly { readonly path: string; readonly reason: string }[];
    }>
  >;
}
