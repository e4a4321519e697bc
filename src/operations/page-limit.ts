import { LIMITS } from "../domain/limits.ts";

const DEFAULT_PAGE = 50;

/** How many a page has: what was asked for, within 1 and `LIMITS.pageSize`. */
export function pageLimit(asked: number | undefined): number {
  return Math.max(1, Math.min(asked ?? DEFAULT_PAGE, LIMITS.pageSize));
}
