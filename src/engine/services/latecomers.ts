import type { Claim, InboxMessage, WorkerInfo } from "../../contracts/run-store.ts";
import type { Chore } from "../../contracts/service.ts";
import { type Plan, planOf } from "../../domain/plan.ts";
import { DEFAULT_RETRY_BUDGET } from "../../domain/retry-budget.ts";
import { bury, Drive } from "../drive.ts";
import { GroupCommit } from "../group-commit.ts";
import type { EngineParts } from "../parts.ts";
import { RetryBudgets } from "../retry-budgets.ts";
import { isStoreTrouble } from "../worker.ts";

const ROUND_MS = 1_000;
const AT_ONCE = 100;
/** A round ends after so many; what is left is the next one's. */
const ROUND_RUNS = 2_000;

/**
 * Ends runs that wait in the queue although their time is over, since nobody else does while all workers are busy or
 * none has the labels. It ends them as a worker would, and performs nothing. `worker` is its name in the store while
 * it has something to end: of its own, and with no slots that anybody should count on.
 */
export function latecomers(parts: EngineParts, worker: WorkerInfo): Chore {
  const { store, clock, log } = parts;
  const committer = new GroupCommit(parts);
  const retries = new RetryBudgets(() => DEFAULT_RETRY_BUDGET);
  const next = () => store.claimLate({ worker: worker.id, now: clock.now(), limit: AT_ONCE });

  const end = async (
    claim: Claim,
    inbox: Promise<readonly InboxMessage[]>,
    plans: Map<string, Plan | null>,
  ) => {
    const plan = async (hash: string): Promise<Plan | null> => {
      if (!plans.has(hash)) {
        const stored = await parts.workflows.byHash(hash);
        plans.set(hash, stored === null ? null : planOf(stored.workflow));
      }
      return plans.get(hash) ?? null;
    };
    const drive = new Drive(parts, { claim, inbox, committer, planOf: plan, retries, endsOnly: true });
    const ended = await drive.ended;
    if (ended.kind !== "broken") return;
    log.error({ run: claim.run, failure: ended.failure }, "could not end a run whose time is over");
    if (!isStoreTrouble(ended.failure)) await bury(parts, { claim, committer, failure: ended.failure });
  };

  const sweep = async (first: readonly Claim[]): Promise<number> => {
    let ended = 0;
    for (let claims: readonly Claim[] | null = first; claims?.length; claims = await next()) {
      const inbox = store
        .inbox(claims.map(({ no }) => no))
        .then((messages) => Map.groupBy(messages, ({ no }) => no));
      const messagesOf = async (claim: Claim) => (await inbox).get(claim.no) ?? [];
      const plans = new Map<string, Plan | null>();
      await Promise.all(claims.map((claim) => end(claim, messagesOf(claim), plans)));
      ended += claims.length;
      if (ended >= ROUND_RUNS || claims.length < AT_ONCE) break;
    }
    return ended;
  };

  return {
    name: "latecomers",
    everyMs: ROUND_MS,
    runOnce: async () => {
      // Nothing is late most of the time; then nobody needs to know of this worker.
      if ((await next()) !== null) return;
      await store.join(worker);
      try {
        const ended = await sweep((await next()) ?? []);
        if (ended > 0) log.info({ runs: ended }, "ended runs whose time was over while they waited");
      } finally {
        // What could not be ended goes back to its place.
        await store.leave(worker.id);
      }
    },
  };
}
