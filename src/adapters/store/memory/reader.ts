import type { QueueLoad, RunReader, SlotView, Unserved, WorkerView } from "../../../contracts/run-store.ts";
import { hasLabels, laneOf, missingWorker } from "../../../domain/labels.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { RUN_STATUSES, type RunStatus, type RunSummary } from "../../../domain/run.ts";
import { serviceRate } from "../../../domain/service-rate.ts";
import { toUnserved } from "../sql/unserved.ts";
import { copy, type MemoryRun, type MemoryState, slotsOf } from "./state.ts";

function waitingFor(state: MemoryState, { place }: MemoryRun): readonly string[] {
  if (place.at === "rest") return place.waitingFor;
  if (place.at === "parked") return [`slot:${place.key}`];
  if (place.at !== "ready" || place.needs.length === 0) return [];
  const missing = missingWorker(
    place.needs,
    [...state.workers.values()].map(({ info }) => info.labels ?? []),
  );
  return missing === null ? [] : [missing];
}

function summary(state: MemoryState, run: MemoryRun): RunSummary {
  const { request } = run;
  return copy({
    id: run.id,
    workflow: request.workflow.name,
    workflowHash: request.workflow.hash,
    status: run.status,
    paused: run.paused,
    waitingFor: waitingFor(state, run),
    title: request.title,
    tenant: request.tenant,
    queue: request.queue,
    priority: request.priority,
    parent: request.parent === null ? null : { run: request.parent.run, step: request.parent.step },
    createdAt: run.createdAt,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    deadlineAt: request.deadlineAt,
    sla: request.sla ?? null,
    output: run.output,
    failure: run.failure,
  });
}

/** The items after the one that `isAfter` names, or all of them; nothing when it is not among them. */
function pageOf<T>(all: readonly T[], isAfter: ((item: T) => boolean) | null): readonly T[] {
  if (isAfter === null) return all;
  const index = all.findIndex(isAfter);
  return index < 0 ? [] : all.slice(index + 1);
}

export function createMemoryReader(state: MemoryState): RunReader {
  return {
    async run(id) {
      const run = state.byId.get(id);
      return run === undefined ? null : summary(state, run);
    },
    async runs({ filter, after, limit }) {
      const page = pageOf(state.runs.toReversed(), after === null ? null : (run) => run.id === after);
      const fits = (run: RunSummary): boolean =>
        (filter.status === undefined || filter.status.includes(run.status)) &&
        (filter.workflow === undefined || filter.workflow === run.workflow) &&
        (filter.tenant === undefined || filter.tenant === run.tenant) &&
        (filter.parent === undefined || filter.parent === run.parent?.run);
      return page
        .map((run) => summary(state, run))
        .filter(fits)
        .slice(0, Math.max(0, limit));
    },
    async factsOf(run, { after, limit }) {
      const found = state.byId.get(run);
      if (found === undefined) return null;
      return copy(found.facts.filter((fact) => fact.seq > after).slice(0, Math.max(0, limit)));
    },
    async approval(id) {
      const approval = state.approvals.get(id);
      return approval === undefined ? null : copy(approval);
    },
    async approvals({ status, run, after, limit }) {
      const all = [...state.approvals.values()].reverse();
      return pageOf(all, after === null ? null : (approval) => approval.id === after)
        .filter((approval) => status === undefined || approval.status === status)
        .filter((approval) => run === undefined || approval.run === run)
        .slice(0, Math.max(0, limit))
        .map(copy);
    },
    async byIdempotencyKey(tenant, key) {
      const first = state.runs.find((run) => run.request.tenant === tenant && run.idempotency?.key === key);
      return first?.idempotency ? { id: first.id, bodyHash: first.idempotency.bodyHash } : null;
    },
    async counts() {
      const at = (place: MemoryRun["place"]["at"]) =>
        state.runs.filter((run) => run.place.at === place).length;
      const of = (status: RunStatus) =>
        [status, state.runs.filter((run) => run.status === status).length] as const;
      return {
        byStatus: Object.fromEntries(RUN_STATUSES.map(of)) as Record<RunStatus, number>,
        ready: at("ready"),
        resting: at("rest"),
        leased: at("lease"),
        workers: working(state).length,
      };
    },
    load: async (now) => loadOf(state, now),
    unserved: async () => unservedIn(state),
    slots: async (query) => slotsIn(state, query),
    workers: async () => workersOf(state),
  };
}

/** Those that drive runs; one that only ends what is late has no slots. */
function working(state: MemoryState) {
  return [...state.workers.values()].filter(({ info }) => info.slots > 0);
}

function loadOf(state: MemoryState, now: number): QueueLoad {
  const at = (place: MemoryRun["place"]["at"]) => state.runs.filter((run) => run.place.at === place).length;
  const queued = state.runs.filter((run) => run.status === "queued");
  const count = (fits: (run: MemoryRun) => boolean) => queued.filter(fits).length;
  const classes = [...new Set(queued.map((run) => run.request.priority))].sort((a, b) => a - b);
  const tenants = [...new Set(queued.map((run) => run.request.tenant))].flatMap((tenant) =>
    classes.map((priority) => ({
      tenant,
      priority,
      queued: count(({ request }) => request.tenant === tenant && request.priority === priority),
    })),
  );
  const { dropped, ...refused } = state.counts;
  return {
    queued: queued.length,
    byClass: classes.map((priority) => ({
      priority,
      queued: count((run) => run.request.priority === priority),
    })),
    byTenant: tenants
      .filter((tenant) => tenant.queued > 0)
      .sort((a, b) => b.queued - a.queued || (a.tenant < b.tenant ? -1 : 1) || a.priority - b.priority)
      .slice(0, LIMITS.loadTenants),
    ready: at("ready"),
    parked: at("parked"),
    leased: at("lease"),
    resting: at("rest"),
    workers: working(state).length,
    slots: [...state.workers.values()].reduce((sum, { info }) => sum + info.slots, 0),
    ...serviceRate([state.served], now),
    refused,
    dropped,
  };
}

function unservedIn(state: MemoryState): readonly Unserved[] {
  const workers = [...state.workers.values()].map(({ info }) => info.labels ?? []);
  const lanes = new Map<string, number>();
  for (const { place } of state.runs) {
    if (place.at !== "ready" || workers.some((labels) => hasLabels(labels, place.needs))) continue;
    // What needs none waits for any worker: that there is none is told elsewhere.
    if (place.needs.length === 0) continue;
    const lane = laneOf(place.needs);
    lanes.set(lane, (lanes.get(lane) ?? 0) + 1);
  }
  return toUnserved([...lanes].map(([labels, queued]) => ({ labels, queued })));
}

function slotsIn(
  state: MemoryState,
  { prefix, after, limit }: Parameters<RunReader["slots"]>[0],
): SlotView[] {
  const open = state.runs.filter((run) => run.place.at !== "nowhere");
  const keys = new Set(open.flatMap((run) => slotsOf(run).map(({ key }) => key)));
  return [...keys]
    .filter((key) => key.startsWith(prefix) && (after === null || key > after))
    .sort()
    .slice(0, Math.max(0, limit))
    .map((key) => ({
      key,
      limit: state.caps.get(key) ?? 0,
      held: state.runs.filter((run) => run.holds.has(key)).length,
    }));
}

function workersOf(state: MemoryState): WorkerView[] {
  const held = (id: string) =>
    state.runs.filter(({ place }) => place.at === "lease" && place.worker === id).length;
  return [...state.workers.values()]
    .sort((a, b) => (a.info.id < b.info.id ? -1 : 1))
    .map(({ info, beatAt, joinedAt }) => ({
      id: info.id,
      host: info.host,
      pid: info.pid,
      slots: info.slots,
      labels: [...(info.labels ?? [])],
      held: held(info.id),
      joinedAt,
      beatAt,
    }));
}
