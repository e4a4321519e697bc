import type { z } from "zod";
import type { RunSummary } from "../domain/run.ts";
import { slaView } from "../domain/sla.ts";
import type { DeskEvent } from "../operations/admission/desk.ts";
import type { Glance } from "../operations/admission/glance.ts";
import type { QueueState } from "../operations/admission/queue-state.ts";
import type { QueueEventSchema, QueueSchema, SlaSchema } from "./api/queue.ts";
import { moment, momentOrNull } from "./moments.ts";

const NO_WORKER = "no worker is at work; the run waits until one is";

export function presentSla(run: RunSummary, seen: Glance): z.infer<typeof SlaSchema> {
  const waitMs = seen.waitMs(run);
  const { state, breaches } = slaView(run, seen.now, waitMs);
  const waits = run.status === "queued";
  return {
    class: run.sla?.class ?? null,
    deadline_at: momentOrNull(run.deadlineAt),
    start_by: momentOrNull(run.sla?.startBy ?? null),
    target_ms: run.sla?.targetMs ?? null,
    state,
    breaches: breaches.map(({ what, dueAt, byMs }) => ({ what, due_at: moment(dueAt), by_ms: byMs })),
    estimated_wait_ms: waitMs,
    note: waits && seen.workers === 0 ? NO_WORKER : null,
  };
}

export function presentQueue(state: QueueState): z.infer<typeof QueueSchema> {
  const { store, here } = state;
  return {
    queued: store.queued,
    max_queued: state.maxQueued,
    ready: store.ready,
    parked: store.parked,
    leased: store.leased,
    resting: store.resting,
    workers: store.workers,
    slots: store.slots,
    service_ms: store.serviceMs,
    drained_per_second: store.drainedPerSecond,
    classes: state.classes.map(({ name, priority, queued, waitMs }) => {
      return { class: name, priority, queued, estimated_wait_ms: waitMs };
    }),
    tenants: state.tenants.map(({ tenant, queued, maxQueued, maxRunning, weight }) => {
      return { tenant, queued, max_queued: maxQueued, max_running: maxRunning, weight };
    }),
    unserved: state.unserved.map(({ needs, queued }) => ({ needs: [...needs], queued })),
    refused: {
      queue_full: store.refused.queueFull,
      tenant_queue_full: store.refused.tenantQueueFull,
      concurrency_conflict: store.refused.conflict,
    },
    dropped: store.dropped,
    here: {
      since: moment(here.since),
      admitted: here.admitted,
      dropped: here.dropped,
      refused: here.refused.map((one) => ({ ...one })),
    },
  };
}

export function presentQueueEvent(event: DeskEvent): z.infer<typeof QueueEventSchema> {
  const { at, retryAfterMs, runs, ...rest } = event;
  return { ...rest, at: moment(at), retry_after_ms: retryAfterMs, runs: [...runs] };
}
