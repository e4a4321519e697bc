import type { Claim, InboxMessage, StoreHint, WorkerInfo } from "../contracts/run-store.ts";
import type { Service } from "../contracts/service.ts";
import { type Failure, FailureError } from "../domain/errors.ts";
import { type Plan, planOf } from "../domain/plan.ts";
import { DEFAULT_RETRY_BUDGET } from "../domain/retry-budget.ts";
import { bury, Drive, type DriveEnd } from "./drive.ts";
import { GroupCommit } from "./group-commit.ts";
import type { EngineParts } from "./parts.ts";
import { RetryBudgets } from "./retry-budgets.ts";
import { bareCommit } from "./run-journal.ts";

const PLANS_KEPT = 512;
const POLL_MS = 500;
const INBOX_POLL_MS = 1_000;
/** Failures of the whole store that are worth waiting out. */
const STORE_TROUBLE = new Set(["disk_full", "read_only", "unavailable", "store_corrupt"]);

export function isStoreTrouble({ code }: Failure): boolean {
  return STORE_TROUBLE.has(code);
}

/**
 * Claims runs and drives them, up to `slots` at a time. Hints wake it, polling is the truth: a lost hint costs
 * a poll, never a run.
 */
export class Worker implements Service {
  readonly name = "worker";
  readonly #parts: EngineParts;
  #info: WorkerInfo;
  readonly #committer: GroupCommit;
  readonly #drives = new Map<number, Drive>();
  readonly #plans = new Map<string, Plan>();
  readonly #retries: RetryBudgets;
  #running = false;
  /** What the store knows of this worker; `null` when it knows nothing. */
  #joined: WorkerInfo | null = null;
  #claiming: Promise<void> | null = null;
  #again = false;
  #shrunk = false;
  #stopHints = () => {};
  #stopPoll = () => {};
  #stopInboxPoll = () => {};
  #idle: (() => void)[] = [];

  constructor(parts: EngineParts, info: WorkerInfo) {
    this.#parts = parts;
    this.#info = info;
    this.#committer = new GroupCommit(parts);
    this.#retries = new RetryBudgets(parts.retryBudget ?? (() => DEFAULT_RETRY_BUDGET));
  }

  /** Runs being driven now. */
  get held(): number {
    return this.#drives.size;
  }

  get slots(): number {
    return this.#info.slots;
  }

  get labels(): readonly string[] {
    return this.#info.labels ?? [];
  }

  /** Fewer slots end no run that has begun: they free as runs end. */
  resize(slots: number): void {
    if (slots < this.#info.slots) this.#shrunk = true;
    this.#info = { ...this.#info, slots };
    this.#nudge();
  }

  /** Runs that need what it no longer can are not taken any more. */
  relabel(labels: readonly string[]): void {
    this.#info = { ...this.#info, labels };
    this.#nudge();
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#stopHints = this.#parts.store.watch((hint) => this.#onHint(hint));
    this.#poll();
    this.#pollInbox();
  }

  /** Claims nothing more, lets steps end for `drainMs`, gives the rest back. */
  async stop(drainMs = 10_000): Promise<void> {
    if (!this.#running && this.#joined === null) return;
    this.#running = false;
    const joined = this.#joined !== null;
    this.#stopHints();
    this.#stopPoll();
    this.#stopInboxPoll();
    await this.#claiming;
    if (joined) await this.#standDown();
    for (const drive of this.#drives.values()) drive.drain();
    const cancel = this.#parts.clock.after(drainMs, () => {
      for (const drive of this.#drives.values()) drive.abandon();
    });
    await Promise.all([...this.#drives.values()].map((drive) => drive.ended));
    cancel();
    if (joined || this.#joined !== null) await this.#leave();
    this.#joined = null;
  }

  /** Is given nothing more; what was given meanwhile is taken up, to be given back. */
  async #standDown(): Promise<void> {
    try {
      this.#take(await this.#parts.store.claim({ worker: this.#info.id, limit: 0 }));
    } catch (error) {
      this.#parts.log.warn(
        { error: String(error) },
        "could not ask for what came last; it frees with the lease",
      );
    }
  }

  async #leave(): Promise<void> {
    try {
      await this.#parts.store.leave(this.#info.id);
    } catch (error) {
      this.#parts.log.warn({ error: String(error) }, "could not leave; the lease runs out by itself");
    }
  }

  /** One round of claiming, and the end of all that was claimed by it and before: for tests and stepping by hand. */
  async runOnce(): Promise<void> {
    await this.#claim();
    while (this.#drives.size > 0) {
      await Promise.all([...this.#drives.values()].map((drive) => drive.ended));
      await this.idle();
    }
  }

  /** Resolves when no run is being driven. */
  idle(): Promise<void> {
    if (this.#drives.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #onHint(hint: StoreHint): void {
    if (hint.kind === "lost" && hint.worker === this.#info.id) this.#lost();
    if (hint.kind === "ready") this.#nudge();
    if (hint.kind === "stalled")
      this.#parts.log.warn({ ms: hint.ms }, "the event loop stood still; the lease was kept");
    if (hint.kind === "inbox") {
      for (const drive of this.#drives.values()) {
        if (drive.claim.run === hint.run) void this.#fetchInbox([drive]);
      }
    }
  }

  /** Taken for dead: others drive its runs now, so whatever it still does for them ends at once. */
  #lost(): void {
    this.#joined = null;
    for (const drive of this.#drives.values()) drive.abandon();
    this.#nudge();
  }

  #poll(): void {
    if (!this.#running) return;
    this.#nudge();
    this.#stopPoll = this.#parts.clock.after(POLL_MS, () => this.#poll());
  }

  #pollInbox(): void {
    if (!this.#running) return;
    void this.#fetchInbox([...this.#drives.values()]);
    this.#stopInboxPoll = this.#parts.clock.after(INBOX_POLL_MS, () => this.#pollInbox());
  }

  async #fetchInbox(drives: readonly Drive[]): Promise<void> {
    if (drives.length === 0) return;
    try {
      const byRun = Map.groupBy(
        await this.#parts.store.inbox(drives.map((drive) => drive.claim.no)),
        (message) => message.no,
      );
      for (const drive of drives) {
        const messages = byRun.get(drive.claim.no);
        if (messages) drive.deliver(messages);
      }
    } catch (error) {
      this.#parts.log.warn({ error: String(error) }, "the inbox could not be read; trying again");
    }
  }

  #nudge(): void {
    if (!this.#running) return;
    this.#again = true;
    if (this.#claiming) return;
    this.#claiming = this.#claimWhileReady().finally(() => {
      this.#claiming = null;
      if (this.#again) this.#nudge();
    });
  }

  async #claimWhileReady(): Promise<void> {
    while (this.#again && this.#running) {
      this.#again = false;
      try {
        const got = await this.#claim();
        if (got > 0 && this.#drives.size < this.slots) this.#again = true;
      } catch (error) {
        this.#parts.log.warn({ error: String(error) }, "claiming failed; trying again at the next poll");
      }
    }
  }

  async #claim(): Promise<number> {
    const { store } = this.#parts;
    const info = this.#info;
    if (this.#joined !== info) {
      await store.join(info);
      this.#joined = info;
    }
    const limit = Math.max(0, info.slots - this.#drives.size);
    // With fewer slots than it offered to fill, what is on its way is more than there is room for.
    if (limit === 0 && !this.#shrunk) return 0;
    if (limit > 0) this.#shrunk = false;
    return this.#take(await store.claim({ worker: this.#info.id, limit, standing: true }));
  }

  #take(claims: readonly Claim[] | null): number {
    const { store } = this.#parts;
    if (claims === null) this.#lost();
    if (claims === null || claims.length === 0) return 0;
    const inbox = store
      .inbox(claims.map((claim) => claim.no))
      .then((messages) => Map.groupBy(messages, (message) => message.no));
    for (const claim of claims) {
      const own = inbox.then((messages) => messages.get(claim.no) ?? []);
      this.#drive(claim, own);
    }
    return claims.length;
  }

  #drive(claim: Claim, inbox: Promise<readonly InboxMessage[]>): void {
    const drive = new Drive(this.#parts, {
      claim,
      inbox,
      committer: this.#committer,
      planOf: (hash) => this.#planOf(hash),
      retries: this.#retries,
    });
    this.#drives.set(claim.no, drive);
    void drive.ended
      .then((end) => this.#settle(claim, end))
      .finally(() => {
        this.#drives.delete(claim.no);
        if (this.#drives.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
        this.#nudge();
      });
  }

  async #settle(claim: Claim, end: DriveEnd): Promise<void> {
    const { log } = this.#parts;
    if (end.kind === "lost") {
      log.warn({ run: claim.run }, "lost the lease of a run; it goes on elsewhere");
      return;
    }
    if (end.kind !== "broken") return;
    log.error({ run: claim.run, failure: end.failure }, "could not drive a run on");
    if (isStoreTrouble(end.failure)) return this.#giveBack(claim);
    try {
      await bury(this.#parts, { claim, committer: this.#committer, failure: end.failure });
    } catch (error) {
      log.error({ run: claim.run, error: String(error) }, "could not close a run that cannot go on");
      return this.#giveBack(claim);
    }
  }

  /** The store was in trouble: the lease is still ours, so it is handed back as soon as the store takes it. */
  async #giveBack(claim: Claim): Promise<void> {
    const { clock, log } = this.#parts;
    for (let wait = 250; this.#running; wait = Math.min(wait * 2, 5_000)) {
      await new Promise<void>((resolve) => clock.after(wait, resolve));
      try {
        await this.#committer.append(bareCommit(claim, { kind: "yield" }));
        return;
      } catch (error) {
        const code = error instanceof FailureError ? error.failure.code : String(error);
        log.warn({ run: claim.run, code }, "the store is still in trouble; the run waits");
      }
    }
  }

  async #planOf(hash: string): Promise<Plan | null> {
    const known = this.#plans.get(hash);
    if (known) return known;
    const stored = await this.#parts.workflows.byHash(hash);
    if (!stored) return null;
    const plan = planOf(stored.workflow);
    const oldest = this.#plans.size >= PLANS_KEPT ? this.#plans.keys().next().value : undefined;
    if (oldest !== undefined) this.#plans.delete(oldest);
    this.#plans.set(hash, plan);
    return plan;
  }
}
