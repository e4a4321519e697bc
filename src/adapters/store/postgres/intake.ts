import type { Admission, Admitted, Claim, RunStore, StoreHint } from "../../../contracts/run-store.ts";
import { admitOne } from "./admit.ts";
import { type ClaimOrder, claim, LOOK } from "./claims.ts";
import type { Hints } from "./hints.ts";
import type { Reads } from "./reads.ts";
import type { Session } from "./session.ts";
import { Standing } from "./standing.ts";

type Guarded = <T>(work: () => Promise<T>) => Promise<T>;

export interface IntakeParts {
  readonly sessions: { readonly claims: Session; readonly doors: Session; readonly reads: Reads };
  readonly hints: Hints;
  readonly shard: number;
  readonly now: () => number;
  readonly guarded: Guarded;
  readonly admitAll: (entries: readonly Admission[]) => Promise<Admitted[]>;
}

export interface Intake extends Pick<RunStore, "admit" | "claim"> {
  /** The worker left: nothing more is kept for it. */
  forget(worker: string): void;
}

const READY: StoreHint = { kind: "ready" };

/** How runs come in and into the hands of workers. */
export function createIntake({ sessions, hints, shard, now, guarded, admitAll }: IntakeParts): Intake {
  const standing = new Standing();

  const closely = async (entry: Admission): Promise<Admitted> => {
    const [admitted] = await admitAll([entry]);
    if (admitted === undefined) throw new Error("an admission was not answered");
    return admitted;
  };
  const admitAlone = async (entry: Admission): Promise<Admitted> => {
    const parts = { ...sessions, standing, shard, now: now(), closely };
    const { admitted, place } = await guarded(() => admitOne(entry, parts));
    if (place === null) return admitted;
    hints.publish([{ kind: "facts", run: entry.id }]);
    if (place === "lease") hints.tell(READY);
    else hints.publish([READY]);
    return admitted;
  };

  return {
    async admit(entries) {
      const [only, second] = entries;
      if (only === undefined || second !== undefined) return admitAll(entries);
      return [await admitAlone(only)];
    },
    async claim({ worker, limit, standing: stands = false }) {
      const { kept, left } = standing.collect(worker, limit);
      if (kept.length > 0) {
        if (stands) standing.offer(worker, left);
        return kept;
      }
      const of = { worker, limit: left, shard, now: now(), sure: hints.saidReady() };
      const claimed = await claimReady({ ...sessions, hints, guarded }, of);
      if (claimed !== null && stands) standing.offer(worker, left - claimed.length);
      return claimed;
    },
    forget: (worker) => standing.forget(worker),
  };
}

async function claimReady(
  { claims, reads, hints, guarded }: IntakeParts["sessions"] & Pick<IntakeParts, "hints" | "guarded">,
  of: ClaimOrder & {
    /** This process made runs ready since it last claimed: no need to look first. */
    readonly sure: boolean;
  },
): Promise<readonly Claim[] | null> {
  // Most looks find nothing: they write nothing.
  if (!of.sure || of.limit <= 0) {
    const [look] = await reads.many<{ known: boolean; waits: boolean }>(LOOK, [of.worker]);
    if (!look?.known) return null;
    if (!look.waits || of.limit <= 0) return [];
  }
  const claimed = await guarded(() =>
    claims.transaction((tx) => {
      tx.identify();
      return claim(tx, of);
    }),
  );
  if (claimed?.more) hints.publish([READY]);
  return claimed?.claims ?? null;
}
