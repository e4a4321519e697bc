import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { newId } from "../src/base/id.ts";
import { type BenchStore, benchAction, chain, runRequest, save, workerOf } from "./engine-house.ts";
import { quantile } from "./overload/load.ts";

const SLOTS = 64;
const DRAIN_MS = 30_000;
const TIMER_MS = 1.5;
const WARM_SECONDS = 2;

export interface SubmitTimes {
  /** From the moment a run was due until a worker had claimed it; ms. */
  readonly claimed: { readonly p50: number; readonly p99: number };
  /** … until the first line of its first step ran, its start on disk. */
  readonly step: { readonly p50: number; readonly p99: number };
}

/**
 * Runs of one step at a steady rate, in an open loop: each has its moment, and its times count from that moment. With
 * caps, as every door asks for them.
 */
export async function submitAtRate(
  opened: BenchStore,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<SubmitTimes> {
  const due = new Map<string, number>();
  const since = (run: string) => performance.now() - (due.get(run) ?? Number.NaN);
  const step: number[] = [];
  const claimed: number[] = [];
  const probe = benchAction("probe", async (_input, { run }) => {
    step.push(since(run.id));
    return null;
  });
  const { store } = opened;
  const watched: typeof store = {
    ...store,
    claim: async (order) => {
      const claims = await store.claim(order);
      for (const { run } of claims ?? []) claimed.push(since(run));
      return claims;
    },
  };
  const worker = workerOf({ ...opened, store: watched }, { slots: SLOTS, actions: [probe] });
  const flow = chain(1, "probe");
  await save(opened, flow);
  worker.start();
  const total = (WARM_SECONDS + seconds) * perSecond;
  const origin = performance.now() + 100;
  const admitted: Promise<unknown>[] = [];
  for (let n = 0; n < total; n += 1) {
    const at = origin + (n * 1_000) / perSecond;
    await sleep(Math.max(0, at - performance.now() - TIMER_MS));
    // A timer is late by up to a millisecond, which is not the store's.
    while (performance.now() < at) await setImmediate();
    const id = newId("run", Date.now(), Math.random);
    due.set(id, at);
    const caps = { queue: 100_000, tenant: 10_000 };
    const admission = { id, request: runRequest(flow), idempotency: null, at: Date.now(), weight: 1, caps };
    admitted.push(store.admit([admission]));
  }
  await Promise.all(admitted);
  for (const end = performance.now() + DRAIN_MS; step.length < total; await sleep(10)) {
    if (performance.now() > end) throw new Error(`only ${step.length} of ${total} runs started`);
  }
  await worker.stop();
  const of = (times: readonly number[]) => {
    const counted = times.slice(WARM_SECONDS * perSecond);
    return { p50: quantile(counted, 0.5), p99: quantile(counted, 0.99) };
  };
  return { claimed: of(claimed), step: of(step) };
}
