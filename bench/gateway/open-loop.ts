import { seeded } from "./quantiles.ts";

/** What the upstream streams: so long until its first piece, and between any two. */
export const FIRST_MS = 200;
export const PIECES = 20;
export const PACE_MS = 200;
export const STREAM_MS = FIRST_MS + (PIECES - 1) * PACE_MS;

/** Moments of one call, in ms of one clock; `NaN` for what was not seen. */
export interface Seen {
  readonly intended: number;
  /** Handed to the gateway. */
  called: number;
  /** The provider was asked. */
  asked: number;
  providerFirst: number;
  first: number;
  providerEnd: number;
  end: number;
  /** Around a fixed piece of work, where there was no gateway. */
  controlFrom: number;
  controlTo: number;
  ok: boolean;
}

export type Ask = (seen: Seen) => Promise<void>;

export const now = () => performance.now();

export interface Way {
  readonly name: string;
  readonly ask: Ask;
  readonly gateway: boolean;
}

export interface Load {
  /** Of each call one way is drawn, so that all meet the same moments. */
  readonly ways: readonly Way[];
  readonly streams: number;
  readonly seconds: number;
  /** The same seed gives the same schedule. */
  readonly seed: number;
}

/** What one load came to. */
export interface Loaded {
  /** By way, without the calls of the first stream's length. */
  readonly seen: ReadonlyMap<string, readonly Seen[]>;
  /** ms of this process's processor time, all its threads, for each call of the load. */
  readonly cpuMs: number;
}

/**
 * Open loop: calls begin by chance, at the rate that keeps so many streams open, whatever the ones before them do; their
 * time counts from when they were meant to begin.
 */
export async function load({ ways, streams, seconds, seed }: Load): Promise<Loaded> {
  const random = seeded(seed);
  const perMs = streams / STREAM_MS;
  const startedAt = now() + 50;
  const countsFrom = startedAt + STREAM_MS;
  const endsAt = countsFrom + seconds * 1_000;
  const seen = new Map<string, Seen[]>(ways.map(({ name }) => [name, []]));
  const ends: Promise<void>[] = [];
  const cpu = process.cpuUsage();
  let intended = startedAt;
  await new Promise<void>((resolve) => {
    const tick = () => {
      while (intended <= now() && intended < endsAt) {
        const way = ways[Math.floor(random() * ways.length)] as Way;
        const call = unseen(intended);
        if (intended >= countsFrom) seen.get(way.name)?.push(call);
        ends.push(way.ask(call));
        intended -= Math.log(1 - random()) / perMs;
      }
      if (intended >= endsAt) return resolve();
      setTimeout(tick, Math.max(0, intended - now()));
    };
    tick();
  });
  await Promise.all(ends);
  const { user, system } = process.cpuUsage(cpu);
  return { seen, cpuMs: (user + system) / 1_000 / ends.length };
}

function unseen(intended: number): Seen {
  const nan = Number.NaN;
  return {
    intended,
    called: nan,
    asked: nan,
    providerFirst: nan,
    first: nan,
    providerEnd: nan,
    end: nan,
    controlFrom: nan,
    controlTo: nan,
    ok: false,
  };
}
