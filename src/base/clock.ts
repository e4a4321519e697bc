/** Where time comes from. `app` builds the real one; tests and the simulation bring their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `wake` once, `ms` from now or later. The returned function cancels it and may be called twice. */
  after(ms: number, wake: () => void): () => void;
}
