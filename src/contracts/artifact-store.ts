/** Bytes by content hash. Names, kinds and owners are facts of a run, not of the store. */
export interface ArtifactStore {
  /** Idempotent; durable when the promise resolves. */
  put(content: Uint8Array | string): Promise<{ readonly sha256: string; readonly bytes: number }>;
  /** `null` when the store does not have it. Rejects when what it has does not match its hash. */
  get(sha256: string): Promise<Uint8Array | null>;
}
