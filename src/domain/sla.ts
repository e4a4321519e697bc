/** What was promised of a run: when it begins, when it is over, and how long it may take in all. */
export const SLA_PARTS = ["start_by", "deadline", "target"] as const;
export type SlaPart = (typeof SLA_PARTS)[number];

/** What a run was promised when it was accepted. */
export interface Sla {
  /** Name of the priority class. */
  readonly class: string;
  /** ms since the epoch; a run that has not begun by then is not begun any more. */
  readonly startBy: number | null;
  /** From admission to the end; missed targets are said, and change nothing. */
  readonly targetMs: number | null;
}

/** The moments of a run's life that its terms are held against; ms since the epoch. */
export interface SlaTimes {
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly deadlineAt: number | null;
  readonly sla: Sla | null;
}

export interface SlaBreach {
  readonly what: SlaPart;
  /** The moment that was missed. */
  readonly dueAt: number;
  /** How late it was, or is by now. */
  readonly byMs: number;
}

export interface SlaView {
  readonly state: "ok" | "at_risk" | "breached";
  readonly breaches: readonly SlaBreach[];
}

/** Of the time that a promise leaves, so much may be gone before it counts as at risk. */
const SAFE_SHARE = 0.8;

interface Pledge {
  readonly what: SlaPart;
  readonly dueAt: number;
  /** When it was fulfilled; `null` while it is open. */
  readonly metAt: number | null;
}

/** A moment is the first one that is too late: what happens at it has missed it. */
function promisesOf(run: SlaTimes): readonly Pledge[] {
  const { createdAt, startedAt, endedAt, deadlineAt, sla } = run;
  const startBy = sla?.startBy ?? null;
  const targetMs = sla?.targetMs ?? null;
  const promises: Pledge[] = [];
  // A run that ended without having begun (canceled, say) needs no beginning any more.
  if (startBy !== null) promises.push({ what: "start_by", dueAt: startBy, metAt: startedAt ?? endedAt });
  if (deadlineAt !== null) promises.push({ what: "deadline", dueAt: deadlineAt, metAt: endedAt });
  if (targetMs !== null) promises.push({ what: "target", dueAt: createdAt + targetMs, metAt: endedAt });
  return promises;
}

/** The promises that were missed, as far as `now` tells. */
export function slaBreaches(run: SlaTimes, now: number): readonly SlaBreach[] {
  return promisesOf(run).flatMap(({ what, dueAt, metAt }) => {
    const byMs = (metAt ?? now) - dueAt;
    return byMs < 0 ? [] : [{ what, dueAt, byMs }];
  });
}

/** The next moment at which an open promise is missed; `null` when there is none. */
export function nextSlaMoment(run: SlaTimes, now: number): number | null {
  const open = promisesOf(run).filter(({ metAt, dueAt }) => metAt === null && dueAt > now);
  return open.reduce<number | null>(
    (least, { dueAt }) => (least === null ? dueAt : Math.min(least, dueAt)),
    null,
  );
}

/** How a run stands. `waitMs` is the estimated wait until it begins; `null` when it has begun or nobody knows. */
export function slaView(run: SlaTimes, now: number, waitMs: number | null): SlaView {
  const breaches = slaBreaches(run, now);
  if (breaches.length > 0) return { state: "breached", breaches };
  const expected = now + (waitMs ?? 0);
  const risky = promisesOf(run).some(({ dueAt, metAt }) => {
    if (metAt !== null) return false;
    return expected >= dueAt || now - run.createdAt >= SAFE_SHARE * (dueAt - run.createdAt);
  });
  return { state: risky ? "at_risk" : "ok", breaches };
}
