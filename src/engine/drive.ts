import type { Claim, InboxMessage } from "../contracts/run-store.ts";
import { absorb } from "../domain/absorb.ts";
import { type Advance, advance } from "../domain/advance.ts";
import { conclude } from "../domain/conclude.ts";
import type { StepOrder } from "../domain/draft.ts";
import { type Failure, FailureError, failure } from "../domain/errors.ts";
import { fold } from "../domain/evolve.ts";
import type { Fact } from "../domain/fact.ts";
import type { Outcome } from "../domain/outcome.ts";
import type { Plan } from "../domain/plan.ts";
import { parseStepId } from "../domain/state.ts";
import { StepAbort } from "./ends.ts";
import type { GroupCommit } from "./group-commit.ts";
import { Mailbox } from "./mailbox.ts";
import type { EngineParts } from "./parts.ts";
import { perform } from "./perform.ts";
import type { RetryBudgets } from "./retry-budgets.ts";
import { bareCommit, RunJournal } from "./run-journal.ts";

const FACTS_PAGE = 5_000;

export type DriveEnd =
  /** The run is over, rests, or was given back: the lease is gone, all is written. */
  | { readonly kind: "ended" | "rested" | "yielded" }
  /** The lease is another's now. */
  | { readonly kind: "lost" }
  /** Something this worker cannot write past; the lease may still be held. */
  | { readonly kind: "broken"; readonly failure: Failure };

type Event =
  | { readonly kind: "done"; readonly order: StepOrder; readonly outcome: Outcome | null }
  | { readonly kind: "inbox"; readonly messages: readonly InboxMessage[] }
  | { readonly kind: "tick" }
  | { readonly kind: "drain" }
  | { readonly kind: "broken"; readonly error: FailureError };

export interface DriveInput {
  readonly claim: Claim;
  readonly committer: GroupCommit;
  readonly planOf: (hash: string) => Promise<Plan | null>;
  readonly retries: RetryBudgets;
  /** Messages that were there after the run was claimed: read beside its journal. */
  readonly inbox: Promise<readonly InboxMessage[]>;
  /** Nothing is performed: a run that does not end at once is given back. */
  readonly endsOnly?: boolean;
}

/** One run while this worker drives it: claimed, folded, and from then on moved by what happens. */
export class Drive {
  readonly claim: Claim;
  readonly ended: Promise<DriveEnd>;
  readonly #parts: EngineParts;
  readonly #input: DriveInput;
  readonly #events = new Mailbox<Event>();
  readonly #active = new Map<string, AbortController>();
  /** Messages whose facts are staged or written; a second look at the inbox must not take them again. */
  readonly #seen = new Set<string>();
  #draining = false;
  #cancelTick = () => {};

  constructor(parts: EngineParts, input: DriveInput) {
    this.#parts = parts;
    this.#input = input;
    this.claim = input.claim;
    this.ended = this.#run();
  }

  /** Messages for the run, as the store has them; known ones are passed over. */
  deliver(messages: readonly InboxMessage[]): void {
    this.#events.push({ kind: "inbox", messages });
  }

  /** Lets what is under way end, starts nothing more, then gives the run back. */
  drain(): void {
    this.#events.push({ kind: "drain" });
  }

  /** Stops at once and writes nothing more: the lease is gone, or the process is about to be. */
  abandon(): void {
    this.#events.push({
      kind: "broken",
      error: new FailureError(failure("lease_lost", "the worker gave the run up")),
    });
  }

  async #run(): Promise<DriveEnd> {
    try {
      return await this.#drive();
    } catch (error) {
      const known =
        error instanceof FailureError
          ? error.failure
          : failure("internal", error instanceof Error ? (error.stack ?? error.message) : String(error));
      return known.code === "lease_lost" ? { kind: "lost" } : { kind: "broken", failure: known };
    } finally {
      this.#cancelTick();
      for (const controller of this.#active.values()) controller.abort(new StepAbort("gone"));
    }
  }

  async #drive(): Promise<DriveEnd> {
    const [journal, messages] = await Promise.all([this.#open(), this.#input.inbox]);
    const plan = await this.#input.planOf(journal.state.request.workflow.hash);
    if (!plan) return this.#failRun(journal);
    let events: readonly Event[] = [{ kind: "inbox", messages }];
    for (;;) {
      this.#take(journal, plan, events);
      const next = this.#advance(journal, plan);
      if (this.#input.endsOnly && next.end === null) {
        await journal.flush({ kind: "yield" });
        return { kind: "yielded" };
      }
      this.#earn(journal, next.facts);
      journal.stageEvolved(next.state, next.facts);
      if (next.end) {
        await journal.flush({ kind: "end", ...next.end });
        return { kind: "ended" };
      }
      if (next.rest) {
        await journal.flush({ kind: "rest", ...next.rest });
        return { kind: "rested" };
      }
      if (this.#draining && this.#active.size === 0) {
        await journal.flush({ kind: "yield" });
        return { kind: "yielded" };
      }
      if (journal.hasStaged) await journal.flush({ kind: "hold" });
      for (const order of next.perform) this.#perform(journal, plan, order);
      for (const step of next.abort) this.#active.get(step)?.abort(new StepAbort("cancel"));
      this.#armTick(next.wakeAt);
      events = await this.#events.take();
    }
  }

  async #open(): Promise<RunJournal> {
    const { store, clock, defer } = this.#parts;
    const facts: Fact[] = [];
    for (;;) {
      const page = await store.facts(this.claim.no, facts.length, FACTS_PAGE);
      facts.push(...page);
      if (page.length < FACTS_PAGE) break;
    }
    const state = fold(facts);
    const journal = new RunJournal({
      claim: this.claim,
      facts,
      state,
      committer: this.#input.committer,
      defer,
      now: () => clock.now(),
      onBroken: (error) => this.#events.push({ kind: "broken", error }),
      observe: this.#parts.observe,
    });
    const interrupted = [...state.steps.values()].some((step) => step.status === "running");
    if (interrupted) journal.stage([{ kind: "run_resumed_by", worker: this.claim.worker }]);
    return journal;
  }

  #take(journal: RunJournal, plan: Plan, events: readonly Event[]): void {
    for (const event of events) {
      switch (event.kind) {
        case "done":
          this.#conclude(journal, plan, event);
          break;
        case "inbox":
          for (const message of event.messages) this.#absorb(journal, message);
          break;
        case "drain":
          this.#draining = true;
          break;
        case "broken":
          journal.close(event.error);
          throw event.error;
        case "tick":
          break;
      }
    }
  }

  #absorb(journal: RunJournal, message: InboxMessage): void {
    if (this.#seen.has(message.id)) return;
    this.#seen.add(message.id);
    journal.stage(absorb(journal.state, message), { consumed: [message.id] });
  }

  #conclude(journal: RunJournal, plan: Plan, event: Extract<Event, { kind: "done" }>): void {
    const { order, outcome } = event;
    this.#active.delete(order.step);
    if (outcome === null) return;
    const { clock, random, expressions } = this.#parts;
    const now = clock.now();
    const done = { step: order.step, attempt: order.attempt, outcome };
    const { grant, spend } = this.#input.retries.ask(journal.state.request.workflow.name, now);
    const facts = conclude(journal.state, done, {
      run: this.claim.run,
      plan,
      now,
      random: random(),
      expressions,
      retry: grant,
    });
    if (facts.some((fact) => fact.kind === "step_retrying")) spend();
    journal.stage(facts);
  }

  #advance(journal: RunJournal, plan: Plan): Advance {
    const { clock, expressions } = this.#parts;
    const now = clock.now();
    if (this.#draining) {
      return { state: journal.state, facts: [], perform: [], abort: [], rest: null, wakeAt: null, end: null };
    }
    const active = new Set(this.#active.keys());
    return advance(journal.state, {
      run: this.claim.run,
      worker: this.claim.worker,
      plan,
      now,
      expressions,
      active,
    });
  }

  #earn(journal: RunJournal, facts: readonly Fact[]): void {
    const { name } = journal.state.request.workflow;
    for (const fact of facts) {
      if (fact.kind === "step_started" && fact.attempt === 1) this.#input.retries.earn(name, fact.at);
    }
  }

  #perform(journal: RunJournal, plan: Plan, order: StepOrder): void {
    const controller = new AbortController();
    this.#active.set(order.step, controller);
    const uses = plan.byId.get(parseStepId(order.step).spec)?.spec.uses ?? "";
    void perform(this.#parts, { order, uses, journal, controller }).then((outcome) =>
      this.#events.push({ kind: "done", order, outcome }),
    );
  }

  #armTick(at: number | null): void {
    this.#cancelTick();
    this.#cancelTick = () => {};
    if (at === null) return;
    const ms = Math.max(0, at - this.#parts.clock.now());
    this.#cancelTick = this.#parts.clock.after(ms, () => this.#events.push({ kind: "tick" }));
  }

  async #failRun(journal: RunJournal): Promise<DriveEnd> {
    const { hash, name } = journal.state.request.workflow;
    const missing = failure(
      "not_found",
      `the run's workflow "${name}" (${hash.slice(0, 12)}) is not in the store`,
    );
    journal.stage([{ kind: "run_failed", failure: missing }]);
    await journal.flush({ kind: "end", status: "failed", output: null, failure: missing });
    return { kind: "ended" };
  }
}

/**
 * The last word on a run that this worker could not drive on (a broken invariant, a refused entry): it fails with
 * that reason, so that it is neither lost nor tried for ever. The journal is read afresh; `false` if even that fails.
 */
export async function bury(
  parts: EngineParts,
  of: { readonly claim: Claim; readonly committer: GroupCommit; readonly failure: Failure },
): Promise<boolean> {
  const { claim, committer } = of;
  let seq = 0;
  for (;;) {
    const page = await parts.store.facts(claim.no, seq, FACTS_PAGE);
    seq += page.length;
    if (page.length < FACTS_PAGE) break;
  }
  const fact: Fact = { kind: "run_failed", failure: of.failure, seq: seq + 1, at: parts.clock.now() };
  const next = { kind: "end", status: "failed", output: null, failure: of.failure } as const;
  const committed = await committer.append({ ...bareCommit(claim, next), facts: [fact] });
  return committed.kind !== "refused";
}
