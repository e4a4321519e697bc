import type { Admission, RunNo } from "../../../contracts/run-store.ts";

/** What a batch is about, known before anything is read. */
export interface Scope {
  /** Public ids of all runs that are named. */
  readonly runs: ReadonlySet<string>;
  /** Runs that may end: their parents and open children are locked too. */
  readonly ending: readonly RunNo[];
  readonly leases: readonly RunNo[];
  /** Public ids of runs whose place matters because they are written to. */
  readonly targets: ReadonlySet<string>;
  /** Messages that may be there already, or that are consumed. */
  readonly messages: readonly { readonly run: string; readonly id: string }[];
  /** Public ids of runs whose unconsumed messages are counted. */
  readonly counted: ReadonlySet<string>;
  readonly admissions: readonly Admission[];
  /** They came by a door: caps count. */
  readonly door: boolean;
}
