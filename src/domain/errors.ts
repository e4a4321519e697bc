import type { Json } from "../base/json.ts";

/** What a code of the catalogue means to the outside: its HTTP status, whether trying again can help, and what to do. */
export interface ErrorEntry {
  readonly status: number;
  readonly retryable: boolean;
  readonly remedy: string;
}

// Long because it is one list, and being in one place is its point.

/** Trying again with the same cannot help. */
const lasting = (status: number, remedy: string): ErrorEntry => ({ status, retryable: false, remedy });
/** Trying again later can help. */
const passing = (status: number, remedy: string): ErrorEntry => ({ status, retryable: true, remedy });

/**
 * The one catalogue of error codes. `docs/reference/errors.md` is generated from it.
 * A code is a promise: it is never renamed and never reused for something else.
 */
export const ERRORS = {
  // What a person or a program asked for.
  invalid_request: lasting(400, "Correct the named field and send the request again."),
  invalid_input: lasting(
    422,
    "Correct the named input; the workflow's `inputs` schema says what is expected.",
  ),
  invalid_workflow: lasting(
    422,
    "Correct the workflow at the named line and column; `agent-runner validate` checks a file.",
  ),
  invalid_agent: lasting(422, "Correct the agent file's front matter at the named field."),
  invalid_gates: lasting(
    422,
    "Correct `.agent-runner/gates.yaml` at the named line and column; docs/reference/gates.md has its format.",
  ),
  invalid_bench_task: lasting(
    422,
    "Correct the task file at the named line and column; docs/MODEL_BENCHMARKING.md has its format.",
  ),
  invalid_config: lasting(400, "Correct the named setting; `.env.example` lists them all."),
  intent_ambiguous: lasting(
    422,
    "Send the request again with `workflow` or `agent` set to one of the candidates; nothing was started.",
  ),
  intent_unknown: lasting(
    422,
    "Say in other words what is wanted, or name a `workflow` or an `agent`; nothing was started.",
  ),
  payload_too_large: lasting(
    413,
    "Send less: put large content in the repository or an artifact and refer to it.",
  ),
  invalid_usage: lasting(
    400,
    "`agent-runner --help` lists the commands, `agent-runner <command> --help` their options.",
  ),
  not_found: lasting(404, "Check the identifier; the list commands show what exists."),
  method_not_allowed: lasting(405, "Use one of the methods named in the Allow header."),
  conflict: lasting(409, "Read the current state and decide again."),
  unsupported_media_type: lasting(415, "Send one of the content types that the message names."),
  idempotency_conflict: lasting(409, "Use a new idempotency key for a different request."),
  run_ended: lasting(409, "The run has ended; start a new one."),
  already_answered: lasting(409, "The approval has its answer; nothing more is needed."),
  answer_too_late: lasting(
    409,
    "The question was to be answered before; look at the run for what it did without an answer.",
  ),
  tenant_queue_full: passing(
    429,
    "The tenant has as many waiting runs as it may; send it again when some have begun, or raise its cap.",
  ),
  queue_full: passing(
    503,
    "The queue is full; send it again after a while, in a more urgent class, or add workers.",
  ),
  dropped_low_priority: passing(
    503,
    "More urgent work took its place in a full queue before it began; start it again later or in a more urgent class.",
  ),
  concurrency_conflict: passing(
    409,
    "Wait for the run that the message names to end, cancel it, or let this one wait (`on_conflict: queue`).",
  ),
  forbidden_host: lasting(403, "Call the server by a loopback name, from the same origin."),
  identity_not_trusted: lasting(
    403,
    "Leave the identity headers out, or set AGENT_RUNNER_TRUST_IDENTITY_HEADERS=true behind a proxy that sets them.",
  ),
  rate_limited: passing(
    429,
    "Wait as Retry-After says; the rate of the named scope is set in the limits file.",
  ),
  deadline_unmeetable: passing(
    503,
    "Send it again after Retry-After, with a later `deadline` or `start_by`, or in a more urgent class.",
  ),
  invalid_limits: lasting(
    422,
    "Correct the limits file at the named line and column; docs/LIMITS.md has its format.",
  ),
  inbox_full: passing(
    429,
    "The run has more unread messages than it may hold; send it again when it has read some.",
  ),
  too_many_streams: passing(
    429,
    "Close an event stream that nobody reads, or ask for pages of events instead.",
  ),
  content_missing: lasting(
    410,
    "The artifact's content is no longer in the artifact store; restore it from a backup.",
  ),
  content_corrupt: lasting(500, "The artifact's content does not match its hash; restore it from a backup."),
  address_in_use: lasting(409, "Stop the program that listens there, or choose another port."),
  unavailable: passing(503, "The server is starting, stopping or without its store; try again shortly."),
  internal: lasting(500, "This is a defect of agent-runner: please report it with the run's journal."),

  // How a step or a run may fail.
  expression_failed: lasting(422, "Correct the expression; the message names it and what it was given."),
  unknown_action: lasting(422, "Register the action on this worker, or correct `uses`."),
  step_timeout: passing(504, "Raise the step's `timeout`, or make the step smaller."),
  deadline_exceeded: lasting(504, "Start the run again with a later deadline."),
  start_by_missed: lasting(504, "Start the run again with a later `start_by`, or in a more urgent class."),
  retry_budget_exhausted: passing(
    503,
    "Too many steps fail at the moment, so retries were held back: mend the cause, then start the run again.",
  ),
  step_failed: lasting(422, "The failed step's own error says what happened."),
  action_crashed: passing(500, "The action threw; its message and stack are in the failure's details."),
  canceled: lasting(409, "Somebody canceled it; start a new run to try again."),
  uncertain_effect: lasting(
    409,
    "Look whether the effect happened, then answer the approval with what you found.",
  ),
  approval_denied: lasting(403, "A person said no; read the comment, change the proposal and ask again."),
  approval_expired: lasting(
    408,
    "Nobody answered in time, so it was not done; start again when somebody can answer.",
  ),
  child_failed: lasting(422, "The child run's own error says what happened."),
  replay_mismatch: lasting(
    409,
    "The step asked for another effect than its journal holds; run it on the version that wrote the journal.",
  ),
  lease_lost: passing(409, "Another worker took the run over; it goes on there."),
  limit_exceeded: lasting(422, "Stay below the named limit."),

  // Models.
  model_unknown: lasting(
    422,
    "Name a configured provider as `provider/model`; `agent-runner doctor` lists them.",
  ),
  model_unfit: lasting(
    422,
    "No candidate can do what the call needs; name other models, or correct the lists of allowed and denied ones.",
  ),
  budget_exhausted: lasting(
    402,
    "Raise the named budget (budgets file, or the run's `budget`), wait until it resets, or name a cheaper model.",
  ),
  price_unknown: lasting(
    422,
    "Use a model with a known price, or set `unknown_price: allow` in the budgets file: its calls are then marked.",
  ),
  model_auth: lasting(401, "Set the provider's API key, and check that it is allowed to use the model."),
  model_invalid_request: lasting(422, "The provider refused the request as malformed; its message says why."),
  model_context_overflow: lasting(
    422,
    "The prompt is larger than the model's context window; use a larger model or a smaller task.",
  ),
  model_refused: lasting(422, "The model's content filter refused; reword the task."),
  model_rate_limited: passing(
    429,
    "The provider limits the rate; the call is tried again after its Retry-After.",
  ),
  model_overloaded: passing(503, "The provider is overloaded; the call is tried again."),
  model_unavailable: passing(503, "The provider cannot be reached; check the network and its base URL."),
  model_timeout: passing(504, "The model did not answer in time."),
  model_truncated: passing(
    502,
    "The stream ended before its end marker or without usage; the answer was not used.",
  ),
  model_bad_reply: passing(
    502,
    "The provider's answer could not be understood; its beginning is in the details.",
  ),
  script_exhausted: lasting(422, "The scripted model has no turn for this request; add one to the script."),
  script_mismatch: lasting(
    422,
    "The scripted model was sent something else than its script expects; the message shows both.",
  ),
  invalid_script: lasting(
    422,
    "Correct the script at the named line and column; docs/reference/scripted-model.md has the format.",
  ),

  // The agent.
  agent_step_limit: lasting(422, "Raise the agent's `limits.turns`, or make the task smaller."),
  agent_cost_limit: lasting(422, "Raise the agent's `limits.cost_usd`, or make the task smaller."),
  agent_token_limit: lasting(422, "Raise the agent's `limits.tokens`, or make the task smaller."),
  agent_time_limit: lasting(422, "Raise the agent's `limits.wall_time`, or make the task smaller."),
  agent_no_progress: lasting(422, "The agent repeated itself; read its transcript, then reword the task."),
  agent_gave_up: lasting(422, "The agent said that it cannot do the task; its reason is in the message."),
  agent_bad_answer: lasting(
    422,
    "The answer stayed short of the agent's `validation`; reword the task or relax the thresholds.",
  ),
  gates_failed: lasting(
    422,
    "The gates stayed red after the last repair round; their output is in gates.json.",
  ),

  stale_verdict: lasting(409, "Something was written after the gates ran; run them again before the commit."),

  // The repository and the tools.
  workspace_escape: lasting(
    403,
    "Use a path inside the workspace, not absolute, without `..` out of it and not under .git.",
  ),
  tool_invalid_input: lasting(422, "Correct the named argument of the tool."),
  tool_failed: lasting(422, "The tool's message says what happened."),
  command_failed: lasting(
    422,
    "The command's output says what happened; allow the failure if it is expected.",
  ),
  command_not_started: lasting(
    422,
    "Install the program, or correct its name or its folder; the message says which is missing.",
  ),
  command_timeout: lasting(504, "Raise the command's time limit, or run something shorter."),
  git_missing: lasting(500, "Install git 2.30 or later and put it on the PATH."),
  git_failed: lasting(422, "git's own message says what happened."),
  not_a_repository: lasting(422, "Name a folder that is a git repository with at least one commit."),
  empty_repository: lasting(422, "Make a first commit in the repository."),
  dirty_target: lasting(
    409,
    "Commit or stash the changes of the target repository, or start the run with `allow_dirty`: it does not see them.",
  ),
  branch_exists: lasting(409, "Delete or rename the branch, or choose another name."),
  secret_found: lasting(422, "Remove the secret from the change; its place is in the details."),
  push_failed: passing(502, "Check the remote's address and credentials; git's message says what happened."),
  disk_full: passing(507, "Free disk space in the data folder, then start again: nothing accepted was lost."),
  read_only: lasting(500, "Make the data folder writable for this user."),
  store_incompatible: lasting(500, "The database was written by a newer agent-runner; install that version."),
  store_outdated: lasting(
    500,
    "Run `agent-runner db migrate` once, or let it happen at start by leaving AGENT_RUNNER_MIGRATE unset.",
  ),
  store_in_use: lasting(409, "Stop the processes that the message names, then do it again."),
  store_not_empty: lasting(409, "Name an empty database or a file that does not exist yet."),
  copy_unfinished: lasting(
    409,
    "Run the same `agent-runner db copy` again: it goes on where it stopped. Or drop the half-done copy.",
  ),
  copy_differs: lasting(
    500,
    "Do not use the copy: drop it and copy again from a source that nobody writes to.",
  ),
  store_corrupt: lasting(500, "The database file is damaged; restore it from a backup."),
} satisfies Readonly<Record<string, ErrorEntry>>;

export type ErrorCode = keyof typeof ERRORS;

/** How something failed: a value, never a throw, once it has reached a contract. `code` may be a plugin's own. */
export interface Failure {
  readonly code: ErrorCode | (string & {});
  readonly message: string;
  readonly retryable: boolean;
  readonly details?: Json;
}

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: Failure };

export function failure(code: ErrorCode, message: string, details?: Json): Failure {
  const base = { code, message, retryable: ERRORS[code].retryable };
  return details === undefined ? base : { ...base, details };
}

export function fail<T>(code: ErrorCode, message: string, details?: Json): Result<T> {
  return { ok: false, failure: failure(code, message, details) };
}

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

/** A failure on its way through code that can only throw; turned back into its value at the contract's edge. */
export class FailureError extends Error {
  override readonly name = "FailureError";
  readonly failure: Failure;

  constructor(value: Failure) {
    super(value.message);
    this.failure = value;
  }
}
