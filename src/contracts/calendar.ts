/** Reads cron expressions in time zones. Pure: the same question has the same answer. */
export interface Calendar {
  /** What is wrong with either, in words for its author; `null` when it can be used. */
  check(
    cron: string,
    timezone: string,
  ): { readonly field: "cron" | "timezone"; readonly message: string } | null;
  /**
   * The first due time after `after` (both ms since the epoch), or `null` when none will come. A time of day that a clock
   * change leaves out is due once, right after it; one that comes twice is due the first time only.
   */
  next(cron: string, timezone: string, after: number): number | null;
}
