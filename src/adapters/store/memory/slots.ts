import type { StoreHint } from "../../../contracts/run-store.ts";
import { laneOf } from "../../../domain/labels.ts";
import { usersOf } from "./rules.ts";
import { type MemoryRun, type MemoryState, slotsOf } from "./state.ts";

/** In the order in which a claim takes them. */
export function inClaimOrder(a: MemoryRun, b: MemoryRun): number {
  return a.request.priority - b.request.priority || a.vt - b.vt || a.no - b.no;
}

/** Who holds what few may hold at a time, and who waits for it. */
export class Slots {
  readonly #state: MemoryState;
  readonly #hint: (hint: StoreHint) => void;

  constructor(state: MemoryState, hint: (hint: StoreHint) => void) {
    this.#state = state;
    this.#hint = hint;
  }

  free(key: string): number {
    const held = this.#state.runs.filter((run) => run.holds.has(key)).length;
    return Math.max(0, (this.#state.caps.get(key) ?? 0) - held);
  }

  /** More room lets as many go on as it has more. */
  setCap(key: string, cap: number): void {
    const before = this.free(key);
    const known = this.#state.caps.has(key);
    this.#state.caps.set(key, cap);
    if (known) this.#wakeEachLane(key, this.free(key) - before);
  }

  /** True when open runs name the key and had another limit. */
  resize(key: string, cap: number): boolean {
    if (usersOf(this.#state, key).length === 0 || this.#state.caps.get(key) === cap) return false;
    this.setCap(key, cap);
    return true;
  }

  /** The first slot, by key, that the run lacks and that is full; `null` when it can have all. */
  firstFull(run: MemoryRun): string | null {
    return this.#wanted(run).find((key) => this.free(key) === 0) ?? null;
  }

  take(run: MemoryRun): void {
    for (const key of this.#wanted(run)) run.holds.add(key);
  }

  park(run: MemoryRun, key: string): void {
    run.place = { at: "parked", key };
    this.passOn(run);
  }

  /** A run left the queue without taking its slots: the next one in line for each that is free has its chance. */
  passOn(run: MemoryRun): void {
    const lane = laneOf(run.request.needs ?? []);
    for (const key of this.#wanted(run)) if (this.free(key) > 0) this.#wake(key, lane, 1);
  }

  release(run: MemoryRun, what: "lease" | "all"): void {
    const given = slotsOf(run).filter((slot) => run.holds.has(slot.key));
    for (const { key, hold } of given.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      if (what === "lease" && hold === "run") continue;
      const before = this.free(key);
      run.holds.delete(key);
      this.#wakeEachLane(key, this.free(key) - before);
    }
  }

  #wanted(run: MemoryRun): string[] {
    const keys = slotsOf(run).map((slot) => slot.key);
    return keys.filter((key) => !run.holds.has(key)).sort((a, b) => (a < b ? -1 : 1));
  }

  #wakeEachLane(key: string, amount: number): void {
    const lanes = this.#waiters(key).map((run) => laneOf(run.request.needs ?? []));
    for (const lane of new Set(lanes)) this.#wake(key, lane, amount);
  }

  #wake(key: string, lane: string, amount: number): void {
    const waiters = this.#waiters(key).filter((run) => laneOf(run.request.needs ?? []) === lane);
    for (const run of waiters.sort(inClaimOrder).slice(0, Math.max(0, amount))) this.ready(run);
  }

  #waiters(key: string): MemoryRun[] {
    return this.#state.runs.filter(({ place }) => place.at === "parked" && place.key === key);
  }

  /** Back to its own place in the queue. */
  ready(run: MemoryRun): void {
    const { priority, needs = [] } = run.request;
    const gated = slotsOf(run).length > 0;
    run.place = { at: "ready", priority, vt: run.vt, needs, gated };
    this.#hint({ kind: "ready" });
  }
}
