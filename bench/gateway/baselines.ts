import type { Clock } from "../../src/base/clock.ts";
import type { ModelProvider, ModelRequest } from "../../src/contracts/model-provider.ts";

/** A first token that is this late is given up: what gateways do when nobody sets anything. */
const TIMEOUT_MS = 60_000;
const MAX_ATTEMPTS = 3;

/** How others choose; each as its documentation or source describes it. */
export interface Picker {
  /** Among targets not yet tried by this request. */
  pick(untried: readonly number[], request: number): number;
  started(target: number): void;
  /** `ms` to the first token, or until it failed. */
  ended(target: number, ok: boolean, ms: number): void;
}

interface Surroundings {
  readonly clock: Clock;
  readonly random: () => number;
  readonly count: number;
  readonly foresee: (request: number) => readonly number[];
}

const nothing = { started: () => {}, ended: () => {} };

function lowest(of: readonly number[], by: (target: number) => number): number {
  return of.reduce((best, one) => (by(one) < by(best) ? one : best));
}

export const PICKERS: Readonly<Record<string, (around: Surroundings) => Picker>> = {
  random: ({ random }) => ({
    ...nothing,
    pick: (untried) => untried[Math.floor(random() * untried.length)] as number,
  }),
  "ordered fallback": () => ({ ...nothing, pick: (untried) => untried[0] as number }),
  "lowest latency, fixed window": fixedWindow,
  "P2C, peak EWMA": peakEwma,
  "oracle (knows the future)": ({ foresee }) => ({
    ...nothing,
    pick: (untried, request) => {
      const future = foresee(request);
      return lowest(untried, (target) => future[target] as number);
    },
  }),
};

/** The mean of the last ten; a target of which most of the last minute failed rests for five seconds. */
function fixedWindow({ clock, random, count }: Surroundings): Picker {
  const windows: number[][] = Array.from({ length: count }, () => []);
  const ends: { at: number; ok: boolean }[][] = Array.from({ length: count }, () => []);
  const resting = Array.from({ length: count }, () => 0);
  const mean = (target: number) => {
    const window = windows[target] as number[];
    return window.length === 0 ? 0 : window.reduce((sum, one) => sum + one, 0) / window.length;
  };
  return {
    started: () => {},
    pick: (untried) => {
      const awake = untried.filter((target) => (resting[target] as number) <= clock.now());
      const among = awake.length > 0 ? awake : untried;
      const best = mean(lowest(among, mean));
      // As LiteLLM does by `lowest_latency_buffer`: among those near the best, any.
      const near = among.filter((target) => mean(target) <= best * 1.1);
      return near[Math.floor(random() * near.length)] as number;
    },
    ended: (target, ok, ms) => {
      const window = windows[target] as number[];
      window.push(ok ? ms : TIMEOUT_MS);
      if (window.length > 10) window.shift();
      const minute = (ends[target] as { at: number; ok: boolean }[]).filter(
        (one) => one.at > clock.now() - 60_000,
      );
      minute.push({ at: clock.now(), ok });
      ends[target] = minute;
      const bad = minute.filter((one) => !one.ok).length;
      if (minute.length > 1 && bad / minute.length > 0.5) resting[target] = clock.now() + 5_000;
    },
  };
}

/** The better of two by peak-sensitive EWMA times the calls under way; a failure counts as a slow answer. */
function peakEwma({ clock, random, count }: Surroundings): Picker {
  const TAU_MS = 10_000;
  const FAILED_MS = 5_000;
  const state = Array.from({ length: count }, () => ({ ewma: 0, at: 0, pending: 0 }));
  const cost = (target: number) => {
    const one = state[target] as { ewma: number; at: number; pending: number };
    const decayed = one.ewma * Math.exp(-(clock.now() - one.at) / TAU_MS);
    return decayed * (one.pending + 1);
  };
  return {
    started: (target) => {
      (state[target] as { pending: number }).pending += 1;
    },
    pick: (untried) => {
      const first = untried[Math.floor(random() * untried.length)] as number;
      const others = untried.filter((target) => target !== first);
      const second = others[Math.floor(random() * others.length)] ?? first;
      return cost(first) <= cost(second) ? first : second;
    },
    ended: (target, ok, ms) => {
      const one = state[target] as { ewma: number; at: number; pending: number };
      one.pending -= 1;
      const sample = ok ? ms : Math.max(ms, FAILED_MS);
      const keep = Math.exp(-(clock.now() - one.at) / TAU_MS);
      one.ewma = sample > one.ewma ? sample : one.ewma * keep + sample * (1 - keep);
      one.at = clock.now();
    },
  };
}

/** Up to three targets, one after another; resolves to whether one answered, and tells the first token. */
export async function callBy(
  picker: Picker,
  around: { readonly clock: Clock; readonly providers: readonly ModelProvider[] },
  call: { readonly index: number; readonly request: ModelRequest; readonly onFirst: () => void },
): Promise<boolean> {
  const { clock, providers } = around;
  let untried = providers.map((_, target) => target);
  for (let attempt = 0; attempt < MAX_ATTEMPTS && untried.length > 0; attempt += 1) {
    const target = picker.pick(untried, call.index);
    untried = untried.filter((other) => other !== target);
    picker.started(target);
    const startedAt = clock.now();
    const controller = new AbortController();
    const cancel = clock.after(TIMEOUT_MS, () => controller.abort());
    let told = false;
    const onDelta = () => {
      cancel();
      if (!told) picker.ended(target, true, clock.now() - startedAt);
      told = true;
      call.onFirst();
    };
    const result = await (providers[target] as ModelProvider).generate(call.request, {
      signal: controller.signal,
      onDelta,
    });
    cancel();
    if (result.ok) return true;
    if (!told) picker.ended(target, false, clock.now() - startedAt);
  }
  return false;
}
