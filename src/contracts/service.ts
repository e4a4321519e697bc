/** The small life of every background thing. `start` and `stop` may each be called twice. */
export interface Service {
  readonly name: string;
  start(): void;
  stop(): Promise<void>;
  /** One round, for tests and for stepping by hand. */
  runOnce(): Promise<void>;
}
