/** Every bound of the house in one place. A loop, a queue or a payload without one is a defect. */
export const LIMITS = {
  /** Bytes of one request body, one workflow file, one run's inputs. */
  requestBytes: 1_048_576,
  workflowBytes: 262_144,
  jsonDepth: 64,
  workflowSteps: 500,
  foreachItems: 10_000,
  /** Steps (or instances of a foreach) of one run performed at the same time. */
  runParallelSteps: 8,
  /** Runs that one worker drives at the same time. */
  workerSlots: 64,
  stepAttempts: 50,
  childDepth: 8,
  childrenPerRun: 10_000,
  /** Bytes of a step's output or of one signal's body in the journal. */
  outputBytes: 1_048_576,
  signalBytes: 262_144,
  inboxPerRun: 10_000,
  /** A fact's body above this many bytes is stored as a content-addressed blob. */
  inlineBodyBytes: 2_048,
  /** Entries of one group commit. */
  commitBatch: 512,
  pageSize: 200,
  /** Between cancel and the kill of what still runs. */
  cancelGraceMs: 5_000,
  leaseTtlMs: 5_000,
  beatMs: 1_000,
  /** A worker whose event loop stands still for longer gives its runs up, and says so. */
  stallMs: 30_000,
  toolOutputChars: 16_000,
  fileReadBytes: 1_048_576,
  commandTimeoutMs: 600_000,
  agentTurns: 100,
  gateRepairRounds: 3,
} as const;
