import type { Admission, Claim, Commit, CommitNext, Posting } from "../contracts/run-store.ts";
import { numbered } from "../domain/advance.ts";
import type { ApprovalRequest } from "../domain/approval.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { evolve } from "../domain/evolve.ts";
import type { Fact, FactBody } from "../domain/fact.ts";
import type { RunState } from "../domain/state.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { WrittenFacts } from "./parts.ts";

/** What has to be written in the same transaction as some facts. */
export interface Extras {
  readonly consumed?: readonly string[];
  readonly children?: readonly Admission[];
  readonly posts?: readonly Posting[];
  readonly approvals?: Commit["approvals"];
}

/** An entry that says nothing but what becomes of the lease. */
export function bareCommit(claim: Claim, next: CommitNext): Commit {
  return {
    claim,
    next,
    facts: [],
    started: false,
    paused: false,
    consumed: [],
    children: [],
    posts: [],
    approvals: [],
    closedApprovals: [],
  };
}

/** Thrown to whoever still works for a run that this worker holds no more. */
export const LEASE_LOST = failure("lease_lost", "this worker no longer holds the run");

/**
 * The journal of one held run, and the state it stands for. Facts are staged in order and flushed together;
 * the state is always that of all staged facts. Only `drive.ts` makes one.
 */
export class RunJournal {
  readonly claim: Claim;
  readonly facts: Fact[];
  state: RunState;
  #committer: GroupCommit;
  #defer: (run: () => void) => void;
  #now: () => number;
  #staged: Fact[] = [];
  #consumed: string[] = [];
  #children: Admission[] = [];
  #posts: Posting[] = [];
  #approvals: { readonly step: string; readonly request: ApprovalRequest }[] = [];
  #scheduled = false;
  /** Why nothing can be written any more; `null` while all is well. */
  broken: FailureError | null = null;
  #onBroken: (error: FailureError) => void;
  #observe: ((written: WrittenFacts) => void) | undefined;

  constructor(of: {
    readonly claim: Claim;
    readonly facts: Fact[];
    readonly state: RunState;
    readonly committer: GroupCommit;
    readonly defer: (run: () => void) => void;
    readonly now: () => number;
    readonly onBroken: (error: FailureError) => void;
    readonly observe?: ((written: WrittenFacts) => void) | undefined;
  }) {
    this.claim = of.claim;
    this.facts = of.facts;
    this.state = of.state;
    this.#committer = of.committer;
    this.#defer = of.defer;
    this.#now = of.now;
    this.#onBroken = of.onBroken;
    this.#observe = of.observe;
  }

  /** Facts from now on, to be written with the next flush, at the latest when everything ready has had its turn. */
  stage(bodies: readonly FactBody[], extras: Extras = {}): void {
    if (this.broken) throw this.broken;
    const facts = numbered(this.state, bodies, this.#now());
    this.state = evolve(this.state, facts);
    this.stageEvolved(this.state, facts, extras);
  }

  /** Facts that the state has been evolved by already (see `advance`). */
  stageEvolved(state: RunState, facts: readonly Fact[], extras: Extras = {}): void {
    this.state = state;
    this.facts.push(...facts);
    this.#staged.push(...facts);
    this.#consumed.push(...(extras.consumed ?? []));
    this.#children.push(...(extras.children ?? []));
    this.#posts.push(...(extras.posts ?? []));
    this.#approvals.push(...(extras.approvals ?? []));
    this.#scheduleFlush();
  }

  /** Stages and waits until it is durable. */
  record(bodies: readonly FactBody[], extras: Extras = {}): Promise<void> {
    this.stage(bodies, extras);
    return this.flush({ kind: "hold" });
  }

  /** Writes all that is staged. Rejects, and breaks the journal, when the lease is lost or the store failed. */
  async flush(next: CommitNext): Promise<void> {
    if (this.broken) throw this.broken;
    const commit = this.#takeStaged(next);
    try {
      const committed = await this.#committer.append(commit);
      if (committed.kind === "fenced") throw new FailureError(LEASE_LOST);
      if (committed.kind === "refused") throw new FailureError(committed.failure);
      const { request, queuedAt } = this.state;
      this.#observe?.({ facts: commit.facts, request, queuedAt });
    } catch (error) {
      throw this.#break(error);
    }
    if (this.broken) throw this.broken;
  }

  get hasStaged(): boolean {
    return this.#staged.length > 0 || this.#consumed.length > 0;
  }

  /** Refuses everything from now on: the worker gave the run up. */
  close(error: FailureError): void {
    this.broken ??= error;
  }

  #scheduleFlush(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(() => {
      this.#scheduled = false;
      if (this.broken || !this.hasStaged) return;
      this.flush({ kind: "hold" }).catch(() => {
        // Whoever waits for the journal next is told; #break has told the driver already.
      });
    });
  }

  #takeStaged(next: CommitNext): Commit {
    const facts = this.#staged;
    const commit: Commit = {
      ...bareCommit(this.claim, next),
      facts,
      started: facts.some((fact) => fact.kind === "run_started"),
      paused: this.state.paused,
      consumed: this.#consumed,
      children: this.#children,
      posts: this.#posts,
      approvals: this.#approvals,
      closedApprovals: facts.flatMap((fact) =>
        fact.kind === "approval_expired" ? [{ id: fact.approval, status: "expired" as const }] : [],
      ),
    };
    this.#staged = [];
    this.#consumed = [];
    this.#children = [];
    this.#posts = [];
    this.#approvals = [];
    return commit;
  }

  #break(error: unknown): FailureError {
    if (this.broken) return this.broken;
    const known =
      error instanceof FailureError ? error : new FailureError(failure("internal", String(error)));
    this.broken = known;
    this.#onBroken(known);
    return known;
  }
}
