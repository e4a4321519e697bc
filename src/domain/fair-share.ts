/**
 * Fair share within a priority class: every run is given a virtual time when it is admitted, and those with the lowest
 * are claimed first. A tenant's clock moves on by `step(weight)` with each of its runs, so that tenants with much
 * waiting work alternate in proportion to their weights; a tenant that was away begins at the class's floor, the
 * highest virtual time that was ever claimed in it, so that nobody saves up credit.
 */
export const FAIR_SHARE = {
  /** Virtual time of one run of weight 1: large, so that the share of a heavy tenant is still a whole number. */
  scale: 65_536,
  leastWeight: 0.01,
  mostWeight: 1_000,
} as const;

/** How far one run of a tenant of this weight moves the tenant's clock. A weight outside the bounds counts as the bound. */
export function shareStep(weight: number): number {
  const bounded = Math.min(Math.max(weight, FAIR_SHARE.leastWeight), FAIR_SHARE.mostWeight);
  return Math.round(FAIR_SHARE.scale / bounded);
}

/** The virtual time of a tenant's next run. */
export function nextShare(of: {
  readonly floor: number;
  readonly tenant: number;
  readonly weight: number;
}): number {
  return Math.max(of.floor, of.tenant) + shareStep(of.weight);
}
