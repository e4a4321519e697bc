/** What somebody wants done: the same shape from every door. */
export interface TaskSpec {
  /** Short; part of the branch name. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Free text per change that is wanted. */
  readonly changes: readonly string[];
  readonly context: readonly string[];
  readonly acceptance: readonly string[];
  readonly hints: {
    /** Paths or globs the change is expected in. */
    readonly paths: readonly string[];
    /** Commands that show success. */
    readonly checks: readonly string[];
  };
}
