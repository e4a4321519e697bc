/** Slots of the shared memory between the main thread and a beat thread. */
export const MAIN_TICKS = 0;
export const STATE = 1;
export const CONTROL_SLOTS = 2;

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
