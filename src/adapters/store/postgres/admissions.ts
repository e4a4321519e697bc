import type { Admission, Admitted, RunNo } from "../../../contracts/run-store.ts";
import type { Failure } from "../../../domain/errors.ts";
import type { RunRequest } from "../../../domain/fact.ts";
import { nextShare } from "../../../domain/fair-share.ts";
import { laneOf } from "../../../domain/labels.ts";
import { queueFull, slotInUse, slotOfAncestor, tenantQueueFull } from "../../../domain/queue.ts";
import { answerOfId, answerOfKey, answerOfParent, refusal } from "../sql/admission-answers.ts";
import { classKey, type HeldRun, type Victim } from "./ledger.ts";
import { keyOf, type Loaded } from "./load.ts";
import { firstToGo } from "./queue.ts";

/** What was loaded, as it is in the middle of a batch, and what may be admitted then. */
export class Admissions {
  readonly #loaded: Loaded;
  /** What runs with known ids were asked for. */
  readonly #requests: ReadonlyMap<string, RunRequest | null>;
  readonly #asked = new Map<string, RunRequest>();

  constructor(loaded: Loaded, requests: ReadonlyMap<string, RunRequest | null>) {
    this.#loaded = loaded;
    this.#requests = requests;
  }

  /** What was asked before, whose parent cannot have it, and what its slots say: the refusal, or `null`. */
  judge(admission: Admission): Admitted | null {
    const { id, request, idempotency } = admission;
    const { runs } = this.#loaded.ledger;
    if (idempotency !== null) {
      const first = this.#loaded.keys.get(keyOf(request.tenant, idempotency.key));
      if (first !== undefined) return answerOfKey(idempotency, first);
    }
    if (runs.has(id)) return answerOfId(admission, this.#asked.get(id) ?? this.#requests.get(id) ?? null);
    const parent = request.parent === null ? undefined : runs.get(request.parent.run);
    const orphaned = answerOfParent(admission, parent);
    if (orphaned !== null) return orphaned;
    const conflict = this.#conflict(request);
    return conflict === null ? null : refusal(conflict);
  }

  #conflict({ parent, slots = [] }: RunRequest): Failure | null {
    const { above, users } = this.#loaded.queue;
    const held = parent === null ? undefined : above.get(parent.run);
    for (const { key, limit, onConflict } of slots) {
      const ancestor = held?.get(key);
      if (ancestor !== undefined) return slotOfAncestor({ key, holder: ancestor });
      if (onConflict !== "reject") continue;
      const using = users.get(key) ?? [];
      const [holder] = using;
      if (holder !== undefined && using.length >= limit) return slotInUse({ key, limit, holder });
    }
    return null;
  }

  /** The run that gives way, `null` when there is room, or why there is none. */
  room({ request, caps }: Admission): { readonly victim: Victim | null } | Failure {
    const { ledger, queue } = this.#loaded;
    const { tenant, priority } = request;
    const waiting = [...ledger.waiting.values()].filter((one) => one.tenant === tenant);
    const own = (queue.byTenant.get(tenant) ?? 0) + waiting.reduce((sum, one) => sum + one.n, 0);
    if (caps?.tenant != null && own >= caps.tenant) {
      ledger.count("refused_tenant", 1);
      return tenantQueueFull({ tenant, queued: own, cap: caps.tenant });
    }
    const queued = queue.queued + (ledger.counters.get("queued") ?? 0);
    if (caps?.queue == null || queued < caps.queue) return { victim: null };
    const [victim] = [...this.#newVictims(), ...queue.victims].sort(firstToGo);
    if (victim === undefined || victim.priority <= priority) {
      ledger.count("refused_queue", 1);
      return queueFull({ queued, cap: caps.queue, priority });
    }
    queue.victims = queue.victims.filter((other) => other.no !== victim.no);
    return { victim };
  }

  /** Runs of this very batch give way as others do. */
  #newVictims(): Victim[] {
    const { ledger, children } = this.#loaded;
    return ledger.newRuns.flatMap(({ no, id, tenant, priority, parent }) => {
      const run = ledger.runs.get(id);
      if (run === undefined || run.status !== "queued" || children.get(no)?.length) return [];
      const family = { parent_no: parent?.no ?? null, parent_id: parent?.id ?? null };
      return [{ no, id, tenant, priority, gated: run.gated, ...family, place: "ready" as const }];
    });
  }

  /** Number of the run's lane; `null` when there are too many lanes. */
  laneFor({ needs = [] }: RunRequest): number | null {
    return needs.length === 0 ? 0 : (this.#loaded.queue.lanes.get(laneOf(needs)) ?? null);
  }

  /** The virtual time of a tenant's next run. */
  advance({ tenant, priority }: RunRequest, weight: number): number {
    const share = this.#loaded.ledger.shares.get(classKey(tenant, priority));
    if (share === undefined) throw new Error("an admission's share was not loaded");
    share.vt = nextShare({ floor: share.floor, tenant: share.vt, weight });
    share.moved = true;
    return share.vt;
  }

  /** The next free number. */
  number(): RunNo {
    const no = this.#loaded.numbers.shift();
    if (no === undefined) throw new Error("more runs than numbers");
    return no;
  }

  /** From now on the run is there for those after it in the batch. */
  enter(admission: Admission, run: HeldRun): void {
    const { id, request, idempotency } = admission;
    const { ledger, queue, children, keys } = this.#loaded;
    ledger.runs.set(id, run);
    this.#asked.set(id, request);
    if (idempotency !== null) {
      keys.set(keyOf(request.tenant, idempotency.key), { id, idem_hash: idempotency.bodyHash });
    }
    if (run.parentNo !== null) children.set(run.parentNo, [...(children.get(run.parentNo) ?? []), id]);
    const above = new Map(request.parent === null ? [] : queue.above.get(request.parent.run));
    for (const { key, limit, hold } of request.slots ?? []) {
      queue.users.get(key)?.push(id);
      if (!queue.users.has(key)) queue.users.set(key, [id]);
      if (hold === "run") above.set(key, id);
      if (queue.caps.get(key) === limit) continue;
      queue.caps.set(key, limit);
      ledger.slotEvents.push({ kind: "cap", key, cap: limit });
    }
    if (above.size > 0) queue.above.set(id, above);
  }

  /** Users of a slot before this one. */
  olderUsers(key: string, than: string): readonly string[] {
    return (this.#loaded.queue.users.get(key) ?? []).filter((id) => id !== than);
  }

  /** An ended run names no slot any more. */
  leave(id: string): void {
    const { users } = this.#loaded.queue;
    for (const [key, all] of users)
      if (all.includes(id))
        users.set(
          key,
          all.filter((user) => user !== id),
        );
  }
}
