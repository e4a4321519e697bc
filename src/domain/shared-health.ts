/**
 * What all processes of a database know of one model, under one account. Times are whole ms since the epoch by the
 * database's clock.
 */
export interface SharedHealth {
  readonly model: string;
  /** Tells keys and addresses apart under which the same name means something else; empty when nobody knows. */
  readonly account: string;
  /** Grows by one with each change; 0 of what was never written. */
  readonly version: number;
  /** Grows by one with each opening and closing of the breaker: news of an earlier phase says nothing. */
  readonly phase: number;
  /** `null`: closed. When it is past, one probe is due. */
  readonly openUntil: number | null;
  /** In a row, for how long the next one lasts. */
  readonly openings: number;
  readonly quarantined: boolean;
  /** Who may probe, and until when nobody else may; `null` and 0 when nobody does. */
  readonly probeBy: string | null;
  readonly probeUntil: number;
  /** The provider asked not to be called before. */
  readonly limitedUntil: number;
  /** Expected time to the first token, in ms, and when it was told; `null` and 0 before that. */
  readonly ttftMs: number | null;
  readonly ttftAt: number;
  /** The process that opened, closed or limited it last. */
  readonly by: string;
  /** Of the last change. */
  readonly at: number;
}

/** What one process has learnt since it told the others last. */
export interface HealthNews {
  /** The phase that it knew of when its breaker moved. */
  readonly phase: number;
  readonly breaker?:
    | {
        readonly kind: "opened";
        readonly until: number;
        readonly openings: number;
        readonly quarantined: boolean;
      }
    | { readonly kind: "closed" };
  readonly limitedUntil?: number;
  readonly ttft?: { readonly ms: number; readonly samples: number };
  /** It does not need the lease of the probe any more. */
  readonly released?: boolean;
}

/** Nothing keeps a model out for longer, whatever a process says. */
const MOST_OPEN_MS = 3_600_000;
const MOST_LIMITED_MS = 600_000;
/** A breaker whose time was over so long ago, and that nobody has probed since, is of another day. */
const FORGOTTEN_MS = 1_800_000;
/** Two windows of a rate limit that end so near to one another are the same. */
const SAME_WINDOW_MS = 50;
/** An expected time that is older than this gives way to a new one altogether. */
const TTFT_FRESH_MS = 30_000;
/** So many samples of one process count as much as all that was known. */
const TTFT_SAMPLES = 20;
/** Differences below it are not worth a write. */
const TTFT_SAME = 0.05;
/** Weight of one's own samples against younger ones of others falls to a third in this time. */
const TTFT_STALE_MS = 60_000;
/** What others said is of no use after so long. */
const TTFT_KEPT_MS = 600_000;

export function unknownHealth(model: string, account: string): SharedHealth {
  return {
    model,
    account,
    version: 0,
    phase: 0,
    openUntil: null,
    openings: 0,
    quarantined: false,
    probeBy: null,
    probeUntil: 0,
    limitedUntil: 0,
    ttftMs: null,
    ttftAt: 0,
    by: "",
    at: 0,
  };
}

/** `due`: its time is over, and one probe may find out. */
export function standing(shared: SharedHealth, now: number): "closed" | "open" | "due" {
  const { openUntil } = shared;
  if (openUntil === null || openUntil + FORGOTTEN_MS <= now) return "closed";
  return openUntil <= now ? "due" : "open";
}

/** Whether the lease of the probe can be had. The database asks the same again when it gives it. */
export function isProbeFree(shared: SharedHealth, by: string, now: number): boolean {
  return standing(shared, now) === "due" && (shared.probeUntil <= now || shared.probeBy === by);
}

/** What is known with the news of one process in it; `null` when they change nothing. The version stays. */
export function withNews(
  shared: SharedHealth,
  news: HealthNews,
  from: { readonly by: string; readonly now: number },
): SharedHealth | null {
  const steps = [withBreaker, withLimit, withTtft, withoutLease];
  const next = steps.reduce((known, step) => step(known, news, from), shared);
  return next === shared ? null : next;
}

interface From {
  readonly by: string;
  readonly now: number;
}

const NO_LEASE = { probeBy: null, probeUntil: 0 } as const;

function withBreaker(shared: SharedHealth, { breaker, phase }: HealthNews, { by, now }: From): SharedHealth {
  if (breaker === undefined) return shared;
  if (breaker.kind === "closed") {
    // Whoever opened it since knows something that this probe did not.
    if (standing(shared, now) === "closed" || shared.phase !== phase) return shared;
    const closed = { openUntil: null, openings: 0, quarantined: false, ...NO_LEASE };
    return { ...shared, ...closed, phase: shared.phase + 1, by };
  }
  const until = Math.min(Math.ceil(breaker.until), now + MOST_OPEN_MS);
  if (until + FORGOTTEN_MS <= now) return shared;
  const known = standing(shared, now) === "closed" ? 0 : (shared.openUntil as number);
  if (until <= known && (shared.quarantined || !breaker.quarantined)) return shared;
  const wasOpen = known > 0;
  return {
    ...shared,
    openUntil: Math.max(until, known),
    openings: Math.max(breaker.openings, wasOpen ? shared.openings : 0),
    quarantined: breaker.quarantined || (wasOpen && shared.quarantined),
    ...NO_LEASE,
    phase: shared.phase + 1,
    by,
  };
}

function withLimit(shared: SharedHealth, { limitedUntil }: HealthNews, { by, now }: From): SharedHealth {
  const until = Math.min(Math.ceil(limitedUntil ?? 0), now + MOST_LIMITED_MS);
  if (until <= now || until <= shared.limitedUntil + SAME_WINDOW_MS) return shared;
  return { ...shared, limitedUntil: until, by };
}

/** By logarithms, as each process reckons for itself. */
function withTtft(row: SharedHealth, { ttft }: HealthNews, { by, now }: From): SharedHealth {
  if (ttft === undefined) return row;
  const known = row.ttftMs;
  if (known === null || row.ttftAt + TTFT_FRESH_MS <= now) {
    return { ...row, ttftMs: Math.max(1, Math.round(ttft.ms)), ttftAt: now, by: row.by === "" ? by : row.by };
  }
  const weight = ttft.samples / (ttft.samples + TTFT_SAMPLES);
  const ms = between(known, ttft.ms, weight);
  const isNews = Math.abs(Math.log(ms / known)) >= TTFT_SAME;
  return isNews ? { ...row, ttftMs: ms, ttftAt: now } : row;
}

function withoutLease(shared: SharedHealth, { released }: HealthNews, { by }: From): SharedHealth {
  return released === true && shared.probeBy === by ? { ...shared, ...NO_LEASE } : shared;
}

/** Geometric mean of two durations, in whole ms; `weight` is the second one's. */
function between(a: number, b: number, weight: number): number {
  return Math.max(1, Math.round(Math.exp(Math.log(a) + weight * (Math.log(b) - Math.log(a)))));
}

/**
 * The expected time to the first token by one's own samples and by what others said, in ms; `null` when nobody knows.
 * One's own go first; they give way as they grow older than what was said.
 */
export function expectedTtft(of: {
  readonly own: { readonly ms: number; readonly at: number } | null;
  readonly shared: { readonly ms: number; readonly at: number } | null;
  readonly now: number;
}): number | null {
  const { own, now } = of;
  const shared = of.shared !== null && now - of.shared.at < TTFT_KEPT_MS ? of.shared : null;
  if (own === null || shared === null) return own?.ms ?? shared?.ms ?? null;
  const older = shared.at - own.at;
  return older <= 0 ? own.ms : between(own.ms, shared.ms, 1 - Math.exp(-older / TTFT_STALE_MS));
}
