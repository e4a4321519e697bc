import { LIMITS } from "../../../domain/limits.ts";

/** Slots of the shared memory between the main thread and a beat thread. */
export const MAIN_TICKS = 0;
export const STATE = 1;
export const CONTROL_SLOTS = 2;

const HELD_UNTIL_AT = CONTROL_SLOTS * Int32Array.BYTES_PER_ELEMENT;
export const CONTROL_BYTES = HELD_UNTIL_AT + BigInt64Array.BYTES_PER_ELEMENT;

/** Until when the lease is surely held: one number of ns, by the clock of `process.hrtime`, which all threads share. */
export function heldUntil(control: SharedArrayBuffer): BigInt64Array {
  return new BigInt64Array(control, HELD_UNTIL_AT, 1);
}

const NS_PER_MS = 1_000_000n;

/** `asked`: before the database was asked to note the beat; what it notes is later. */
export function noteBeat(control: SharedArrayBuffer, asked: bigint): void {
  Atomics.store(heldUntil(control), 0, asked + BigInt(LIMITS.leaseTtlMs) * NS_PER_MS);
}

/** Values of `STATE`. */
export const BEATING = 0;
export const STOPPED = 1;

export interface BeatOrder {
  /** Where the database is: a file, or an address. */
  readonly database: string;
  readonly worker: string;
  readonly control: SharedArrayBuffer;
  /** How long a beat may wait for the database. */
  readonly busyTimeoutMs: number;
  /** How often the thread looks at the main thread. */
  readonly tickMs: number;
  readonly beatMs: number;
  /** A loop that stood still for this long is told of. */
  readonly noticeMs: number;
  /** A loop that stood still for this long loses its worker. */
  readonly stallMs: number;
}

export type BeatMessage =
  | { readonly kind: "stalled"; readonly ms: number }
  | { readonly kind: "lost" }
  | { readonly kind: "failed"; readonly message: string };
