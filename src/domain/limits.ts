/** Every bound of the house in one place. A loop, a queue or a payload without one is a defect. */
export const LIMITS = {
  /** Bytes of one request body, one workflow file, one run's inputs. */
  requestBytes: 1_048_576,
  workflowBytes: 262_144,
  jsonDepth: 64,
  titleChars: 200,
  /** Characters of a comment, a reason or a reply. */
  textChars: 16_384,
  idempotencyKeyChars: 255,
  /** Triggers of one workflow. */
  triggers: 20,
  /** A due time that was seen later than this was missed: the schedule's `catch_up` says what becomes of it. */
  scheduleGraceMs: 60_000,
  /** Due times that one look at a schedule takes. */
  scheduleScan: 1_000,
  /** Missed due times that `catch_up: all` makes up for; the oldest give way. */
  scheduleCatchUp: 100,
  /** The longest that a `jitter` may be. */
  scheduleJitterMs: 86_400_000,
  /** How long a firing that cannot be admitted (a full queue) is tried again. */
  scheduleRetryMs: 3_600_000,
  /** Firings that are kept of one schedule, beside those whose run is open. */
  firingsKept: 500,
  /** Due times shown ahead. */
  scheduleAhead: 50,
  /** Examples of one workflow or agent, and characters of each. */
  examples: 20,
  exampleChars: 300,
  /** Candidates named in an answer that asks which is meant. */
  intentOffers: 5,
  /** Longest that an answer waits for a run's end when it was asked to. */
  longPollMs: 60_000,
  /** A model that decides between close candidates is given up after this. */
  intentModelMs: 15_000,
  /** A model that reads a task or sums a text up is given up after this, unless configured otherwise. */
  mediatorMs: 30_000,
  /** Priorities are 0 (the most urgent class) up to and without this. */
  priorities: 10,
  /** Labels that one run needs or one worker has, characters of each, and different sets of them that runs may need. */
  labels: 32,
  labelChars: 100,
  lanes: 1_000,
  /** Slots of one run, and characters of a slot's key. */
  slotsPerRun: 16,
  slotKeyChars: 400,
  /** Most runs that one slot may have room for. */
  slotLimit: 100_000,
  /** Open runs of one slot that a newcomer takes the place of at once. */
  slotUsers: 1_000,
  /** Runs of one process that wait for the store to take them. */
  admissionsEntering: 1_000,
  /** Sets of labels that are told when no worker has them, and how far the runs of each are counted. */
  unservedSets: 50,
  unservedRuns: 10_000,
  /** Tenants named in the load of the queue. */
  loadTenants: 1_000,
  /** Event streams open at the same time on one server. */
  eventStreams: 256,
  /** Longest silence on an event stream. */
  streamHeartbeatMs: 10_000,
  /** A reader of an event stream that takes nothing for so long is let go; it may resume where it was. */
  streamStallMs: 60_000,
  /** Live events kept for a slow reader; the oldest give way. */
  liveBuffer: 256,
  /** Live events of one run that one look at another process's brings. */
  liveBatch: 500,
  /** Who watches a run's live events from another process says so anew within this time. */
  liveWatchMs: 10_000,
  /** Live events on their way to other processes are dropped after this. */
  liveKeptMs: 30_000,
  /** Models whose health the processes of one database share; those changed last count. */
  sharedModels: 500,
  /** How long a new fact may stay unseen when the hint of it was lost. */
  followPollMs: 500,
  /** Characters of a step's output shown in a run's view; the journal has the whole. */
  viewOutputChars: 16_384,
  /** Instances of one foreach shown in a run's view. */
  viewInstances: 200,
  viewEvents: 20,
  viewFiles: 1_000,
  healthCheckMs: 5_000,
  workflowSteps: 500,
  foreachItems: 10_000,
  /** Steps (or instances of a foreach) of one run performed at the same time. */
  runParallelSteps: 8,
  /** Runs that one worker drives at the same time. */
  workerSlots: 64,
  mostSlots: 10_000,
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
  /** A leader that has not renewed its duty for so long has lost it. */
  leadTtlMs: 4_000,
  /** It renews, and others try, this often. */
  leadRenewMs: 1_000,
  /** A member of which nothing was heard for so long is none any more. */
  memberSilentMs: 60_000,
  /** How often it is looked for dead workers. */
  rescueMs: 500,
  /** A worker whose event loop stands still for longer gives its runs up, and says so. */
  stallMs: 30_000,
  toolOutputChars: 16_000,
  fileReadBytes: 1_048_576,
  commandTimeoutMs: 600_000,
  agentTurns: 100,
  gateRepairRounds: 3,
} as const;
