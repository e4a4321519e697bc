/** Work that is done again and again. */
export interface Chore {
  readonly name: string;
  /** Between the end of a round and the next. */
  readonly everyMs: number;
  runOnce(): Promise<void>;
}

/** The small life of every background thing. `start` and `stop` may each be called twice. */
export interface Service {
  readonly name: string;
  start(): void;
  stop(): Promise<void>;
  /** One round, for tests and for stepping by hand. */
  runOnce(): Promise<void>;
}
