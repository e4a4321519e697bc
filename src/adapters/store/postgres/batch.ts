import type {
  Admission,
  Admitted,
  Commit,
  Committed,
  Posted,
  Posting,
  RunNo,
  StoreHint,
} from "../../../contracts/run-store.ts";
import type { Failure } from "../../../domain/errors.ts";
import type { RunRequest } from "../../../domain/fact.ts";
import { requestOf } from "../sql/admission-answers.ts";
import { entryFault, isUniqueViolation } from "./failures.ts";
import { flush, tryFacts } from "./flush.ts";
import { firstFacts } from "./journal.ts";
import { type Loaded, load, loadParents, type Scope, scopeOfPosts } from "./load.ts";
import { keysThatDoNotWait, lockDoors, lockVictims } from "./queue.ts";
import type { Session, Tx } from "./session.ts";
import { Verbs } from "./verbs.ts";

/** One verb over a batch. */
interface Kind<Entry, Answer> {
  readonly scope: (entries: readonly Entry[]) => Scope;
  readonly apply: (verbs: Verbs, entry: Entry) => Answer;
  /** The answer for an entry that broke a law; `null` when the whole batch fails with it. */
  readonly refuse: ((failure: Failure) => Answer) | null;
}

interface Done<Answer> {
  readonly answers: Answer[];
  readonly hints: readonly StoreHint[];
}

const NOTHING: Scope = {
  runs: new Set(),
  ending: [],
  leases: [],
  targets: new Set(),
  messages: [],
  counted: new Set(),
  admissions: [],
  door: false,
};

function admissionScope(admissions: readonly Admission[]): Scope {
  const parents = admissions.flatMap(({ request }) => (request.parent === null ? [] : [request.parent.run]));
  const runs = new Set([...admissions.map(({ id }) => id), ...parents]);
  return { ...NOTHING, runs, admissions, door: true };
}

function commitScope(entries: readonly Commit[]): Scope {
  const posts = entries.flatMap((entry) => entry.posts);
  const admissions = entries.flatMap((entry) => entry.children);
  const sides = scopeOfPosts(posts);
  const called = entries.filter(({ next }) => next.kind === "rest").map(({ claim }) => claim.run);
  const consumed = entries.flatMap(({ claim, consumed: ids }) => ids.map((id) => ({ run: claim.run, id })));
  const runs = new Set([
    ...entries.map(({ claim }) => claim.run),
    ...sides.targets,
    ...admissionScope(admissions).runs,
  ]);
  return {
    runs,
    ending: entries.filter(({ next }) => next.kind === "end").map(({ claim }) => claim.no),
    leases: entries.map(({ claim }) => claim.no),
    targets: sides.targets,
    messages: [...sides.messages, ...consumed],
    counted: new Set([...sides.counted, ...called]),
    admissions,
    door: false,
  };
}

export const ADMIT: Kind<Admission, Admitted> = {
  scope: admissionScope,
  apply: (verbs, admission) => verbs.admit(admission, true),
  refuse: (failure) => ({ kind: "refused", failure }),
};

export const POST: Kind<Posting, Posted> = {
  scope: (posts) => ({ ...NOTHING, ...scopeOfPosts(posts), runs: new Set(posts.map(({ run }) => run)) }),
  apply: (verbs, posting) => verbs.post(posting),
  refuse: null,
};

export function commitKind(now: number): Kind<Commit, Committed> {
  return {
    scope: commitScope,
    apply: (verbs, entry) => verbs.commit(entry, now),
    refuse: (failure) => ({ kind: "refused", failure }),
  };
}

/** What known runs were asked for, of those that are admitted again. */
async function askedBefore(tx: Tx, loaded: Loaded, admissions: readonly Admission[]) {
  const known = new Map<RunNo, string>();
  for (const { id } of admissions) {
    const run = loaded.ledger.runs.get(id);
    if (run !== undefined) known.set(run.no, id);
  }
  const requests = new Map<string, RunRequest | null>();
  if (known.size === 0) return requests;
  for (const [no, fact] of await firstFacts(tx, [...known.keys()])) {
    requests.set(known.get(no) ?? "", requestOf(fact));
  }
  return requests;
}

/** Locks, reads, decides and sends the writes; the caller waits for the last of them. */
export async function applyAll<Entry, Answer>(
  tx: Tx,
  kind: Kind<Entry, Answer>,
  of: { readonly entries: readonly Entry[]; readonly shard: number; readonly alone?: boolean },
): Promise<Done<Answer>> {
  const scope = kind.scope(of.entries);
  const loaded = await load(tx, scope);
  await loadParents(tx, loaded.ledger, await lockVictims(tx, scope, loaded.queue));
  const verbs = new Verbs(loaded, await askedBefore(tx, loaded, scope.admissions));
  let answers: Answer[];
  try {
    answers = of.entries.map((entry) => kind.apply(verbs, entry));
  } catch (error) {
    // Of several faults of one entry the first is told, and its facts come first.
    if (of.alone) await tryFacts(tx, loaded.ledger);
    throw error;
  }
  await flush(tx, loaded.ledger, of.shard);
  return { answers, hints: loaded.ledger.hints };
}

/**
 * All entries in one transaction. Only when one of them breaks a law is the batch done again with a savepoint for
 * each, so that the good path pays nothing and a poisoned entry does not fail its neighbours.
 */
export async function runBatch<Entry, Answer>(
  session: Session,
  kind: Kind<Entry, Answer>,
  of: { readonly entries: readonly Entry[]; readonly shard: number },
): Promise<Done<Answer>> {
  if (of.entries.length === 0) return { answers: [], hints: [] };
  const { refuse } = kind;
  try {
    return await session.transaction((tx) => applyAll(tx, kind, of));
  } catch (error) {
    if (refuse === null || entryFault(error) === null) throw error;
  }
  return session.transaction(async (tx) => {
    // All locks first, in their order, as the whole batch would take them.
    const scope = kind.scope(of.entries);
    lockDoors(tx, scope, keysThatDoNotWait(scope.admissions));
    await load(tx, { ...scope, admissions: [] });
    const answers: Answer[] = [];
    const hints: StoreHint[] = [];
    for (const entry of of.entries) {
      const alone = { entries: [entry], shard: of.shard };
      const done = await applyAlone(tx, kind, { ...alone, refuse });
      answers.push(...done.answers);
      hints.push(...done.hints);
    }
    return { answers, hints };
  });
}

const nothing = () => null;

async function applyAlone<Entry, Answer>(
  tx: Tx,
  kind: Kind<Entry, Answer>,
  of: {
    readonly entries: readonly Entry[];
    readonly shard: number;
    readonly refuse: (failure: Failure) => Answer;
  },
): Promise<Done<Answer>> {
  for (let again = true; ; again = false) {
    const part = tx.part();
    part.exec("SAVEPOINT entry");
    try {
      const done = await applyAll(part, kind, { ...of, alone: true });
      await part.settled();
      await part.exec("RELEASE entry");
      return done;
    } catch (caught) {
      // The first statement that failed tells why; those after it only that the transaction is aborted.
      const error = (await part.settled().then(nothing, (first: unknown) => first)) ?? caught;
      const fault = entryFault(error);
      if (fault === null) throw error;
      await tx.exec("ROLLBACK TO entry");
      await tx.exec("RELEASE entry");
      // Somebody else admitted the same at this moment: now it is there to be seen.
      if (again && isUniqueViolation(error)) continue;
      return { answers: [of.refuse(fault)], hints: [] };
    }
  }
}
