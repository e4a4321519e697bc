import { ok, type Result } from "../../domain/errors.ts";
import { queuedByTenant, queueState } from "../admission/queue-state.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

/** Tenants with a series of their own; monitoring systems suffer from names without bound. */
const TENANTS_TOLD = 50;
const SECOND = 1_000;

/** All figures, with those of the queue as they are now. Figures of the store that does not answer are left as they were. */
export function scrape(
  parts: Pick<Parts, "desk" | "reader" | "metrics">,
): Promise<Result<{ readonly contentType: string; readonly body: string }>> {
  return asResult(async () => {
    const queue = await queueState(parts);
    const counts = queue.ok ? await asResult(async () => ok(await parts.reader.counts())) : queue;
    if (queue.ok) tellQueue(parts, queue.value);
    if (counts.ok) {
      const statuses = Object.entries(counts.value.byStatus);
      parts.metrics.set(
        "runs",
        statuses.map(([status, value]) => ({ labels: { status }, value })),
      );
    }
    return ok(await parts.metrics.text());
  });
}

type State = Extract<Awaited<ReturnType<typeof queueState>>, { ok: true }>["value"];

function tellQueue({ metrics }: Pick<Parts, "metrics">, { store, classes }: State): void {
  const byClass = classes.map(({ name, queued }) => ({ labels: { class: name }, value: queued }));
  metrics.set("queue_runs", byClass);
  const waits = classes.flatMap(({ name, waitMs }) =>
    waitMs === null ? [] : [{ labels: { class: name }, value: waitMs / SECOND }],
  );
  metrics.set("queue_wait_estimate_seconds", waits);
  metrics.set("queue_tenant_runs", tenants(store));
  const { ready, parked, leased, resting } = store;
  const places = Object.entries({ ready, parked, leased, resting });
  metrics.set(
    "open_runs",
    places.map(([place, value]) => ({ labels: { place }, value })),
  );
  metrics.set("workers", [{ value: store.workers }]);
  metrics.set("worker_slots", [{ value: store.slots }]);
  metrics.set("service_seconds", store.serviceMs === null ? [] : [{ value: store.serviceMs / SECOND }]);
  const { queueFull, tenantQueueFull, conflict } = store.refused;
  metrics.set("queue_refused", [
    { labels: { cap: "queue" }, value: queueFull },
    { labels: { cap: "tenant" }, value: tenantQueueFull },
    { labels: { cap: "concurrency" }, value: conflict },
  ]);
  metrics.set("queue_dropped", [{ value: store.dropped }]);
}

function tenants(store: State["store"]): { labels: { tenant: string }; value: number }[] {
  const all = [...queuedByTenant(store)].sort((a, b) => b[1] - a[1]);
  const told = all.slice(0, TENANTS_TOLD).map(([tenant, value]) => ({ labels: { tenant }, value }));
  const sum = told.reduce((total, { value }) => total + value, 0);
  return store.queued > sum ? [...told, { labels: { tenant: "other" }, value: store.queued - sum }] : told;
}
