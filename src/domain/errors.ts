import type { Json } from "../base/json.ts";

/** What a code of the catalogue means to the outside: its HTTP status, whether trying again can help, and what to do. */
export interface ErrorEntry {
  readonly status: number;
  readonly retryable: boolean;
  readonly remedy: string;
}

// Long because it is one list, and being in one place is its point.

/**
 * The one catalogue of error codes. `docs/reference/errors.md` is generated from it.
 * A code is a promise: it is never renamed and never reused for something else.
 */
export const ERRORS = {
  // What a person or a program asked for.
  invalid_request: {
    status: 400,
    retryable: false,
    remedy: "Correct the named field and send the request again.",
  },
  invalid_input: {
    status: 422,
    retryable: false,
    remedy: "Correct the named input; the workflow's `inputs` schema says what is expected.",
  },
  invalid_workflow: {
    status: 422,
    retryable: false,
    remedy: "Correct the workflow at the named line and column; `agent-runner validate` checks a file.",
  },
  invalid_agent: {
    status: 422,
    retryable: false,
    remedy: "Correct the agent file's front matter at the named field.",
  },
  invalid_gates: {
    status: 422,
    retryable: false,
    remedy:
      "Correct `.agent-runner/gates.yaml` at the named line and column; docs/reference/gates.md has its format.",
  },
  invalid_config: {
    status: 400,
    retryable: false,
    remedy: "Correct the named setting; `.env.example` lists them all.",
  },
  payload_too_large: {
    status: 413,
    retryable: false,
    remedy: "Send less: put large content in the repository or an artifact and refer to it.",
  },
  not_found: {
    status: 404,
    retryable: false,
    remedy: "Check the identifier; the list commands show what exists.",
  },
  method_not_allowed: {
    status: 405,
    retryable: false,
    remedy: "Use one of the methods named in the Allow header.",
  },
  conflict: { status: 409, retryable: false, remedy: "Read the current state and decide again." },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    remedy: "Send one of the content types that the message names.",
  },
  idempotency_conflict: {
    status: 409,
    retryable: false,
    remedy: "Use a new idempotency key for a different request.",
  },
  run_ended: { status: 409, retryable: false, remedy: "The run has ended; start a new one." },
  already_answered: {
    status: 409,
    retryable: false,
    remedy: "The approval has its answer; nothing more is needed.",
  },
  forbidden_host: {
    status: 403,
    retryable: false,
    remedy: "Call the server by a loopback name, from the same origin.",
  },
  inbox_full: {
    status: 429,
    retryable: true,
    remedy: "The run has more unread messages than it may hold; send it again when it has read some.",
  },
  too_many_streams: {
    status: 429,
    retryable: true,
    remedy: "Close an event stream that nobody reads, or ask for pages of events instead.",
  },
  content_missing: {
    status: 410,
    retryable: false,
    remedy: "The artifact's content is no longer in the artifact store; restore it from a backup.",
  },
  content_corrupt: {
    status: 500,
    retryable: false,
    remedy: "The artifact's content does not match its hash; restore it from a backup.",
  },
  address_in_use: {
    status: 409,
    retryable: false,
    remedy: "Stop the program that listens there, or choose another port.",
  },
  queue_full: {
    status: 429,
    retryable: true,
    remedy: "Wait as long as Retry-After says, then send the request again.",
  },
  unavailable: {
    status: 503,
    retryable: true,
    remedy: "The server is starting, stopping or without its store; try again shortly.",
  },
  internal: {
    status: 500,
    retryable: false,
    remedy: "This is a defect of agent-runner: please report it with the run's journal.",
  },

  // How a step or a run may fail.
  expression_failed: {
    status: 422,
    retryable: false,
    remedy: "Correct the expression; the message names it and what it was given.",
  },
  unknown_action: {
    status: 422,
    retryable: false,
    remedy: "Register the action on this worker, or correct `uses`.",
  },
  step_timeout: {
    status: 504,
    retryable: true,
    remedy: "Raise the step's `timeout`, or make the step smaller.",
  },
  deadline_exceeded: { status: 504, retryable: false, remedy: "Start the run again with a later deadline." },
  step_failed: { status: 422, retryable: false, remedy: "The failed step's own error says what happened." },
  action_crashed: {
    status: 500,
    retryable: true,
    remedy: "The action threw; its message and stack are in the failure's details.",
  },
  canceled: { status: 409, retryable: false, remedy: "Somebody canceled it; start a new run to try again." },
  uncertain_effect: {
    status: 409,
    retryable: false,
    remedy: "Look whether the effect happened, then answer the approval with what you found.",
  },
  approval_denied: {
    status: 403,
    retryable: false,
    remedy: "A person said no; read the comment, change the proposal and ask again.",
  },
  approval_expired: {
    status: 408,
    retryable: false,
    remedy: "Nobody answered in time, so it was not done; start again when somebody can answer.",
  },
  child_failed: { status: 422, retryable: false, remedy: "The child run's own error says what happened." },
  replay_mismatch: {
    status: 409,
    retryable: false,
    remedy:
      "The step asked for another effect than its journal holds; run it on the version that wrote the journal.",
  },
  lease_lost: { status: 409, retryable: true, remedy: "Another worker took the run over; it goes on there." },
  limit_exceeded: { status: 422, retryable: false, remedy: "Stay below the named limit." },

  // Models.
  model_unknown: {
    status: 422,
    retryable: false,
    remedy: "Name a configured provider as `provider/model`; `agent-runner doctor` lists them.",
  },
  model_auth: {
    status: 401,
    retryable: false,
    remedy: "Set the provider's API key, and check that it is allowed to use the model.",
  },
  model_invalid_request: {
    status: 422,
    retryable: false,
    remedy: "The provider refused the request as malformed; its message says why.",
  },
  model_context_overflow: {
    status: 422,
    retryable: false,
    remedy: "The prompt is larger than the model's context window; use a larger model or a smaller task.",
  },
  model_refused: {
    status: 422,
    retryable: false,
    remedy: "The model's content filter refused; reword the task.",
  },
  model_rate_limited: {
    status: 429,
    retryable: true,
    remedy: "The provider limits the rate; the call is tried again after its Retry-After.",
  },
  model_overloaded: {
    status: 503,
    retryable: true,
    remedy: "The provider is overloaded; the call is tried again.",
  },
  model_unavailable: {
    status: 503,
    retryable: true,
    remedy: "The provider cannot be reached; check the network and its base URL.",
  },
  model_timeout: { status: 504, retryable: true, remedy: "The model did not answer in time." },
  model_truncated: {
    status: 502,
    retryable: true,
    remedy: "The stream ended before its end marker or without usage; the answer was not used.",
  },
  model_bad_reply: {
    status: 502,
    retryable: true,
    remedy: "The provider's answer could not be understood; its beginning is in the details.",
  },
  script_exhausted: {
    status: 422,
    retryable: false,
    remedy: "The scripted model has no turn for this request; add one to the script.",
  },
  script_mismatch: {
    status: 422,
    retryable: false,
    remedy: "The scripted model was sent something else than its script expects; the message shows both.",
  },
  invalid_script: {
    status: 422,
    retryable: false,
    remedy:
      "Correct the script at the named line and column; docs/reference/scripted-model.md has the format.",
  },

  // The agent.
  agent_step_limit: {
    status: 422,
    retryable: false,
    remedy: "Raise the agent's `limits.turns`, or make the task smaller.",
  },
  agent_cost_limit: {
    status: 422,
    retryable: false,
    remedy: "Raise the agent's `limits.cost_usd`, or make the task smaller.",
  },
  agent_token_limit: {
    status: 422,
    retryable: false,
    remedy: "Raise the agent's `limits.tokens`, or make the task smaller.",
  },
  agent_time_limit: {
    status: 422,
    retryable: false,
    remedy: "Raise the agent's `limits.wall_time`, or make the task smaller.",
  },
  agent_no_progress: {
    status: 422,
    retryable: false,
    remedy: "The agent repeated itself; read its transcript, then reword the task.",
  },
  agent_gave_up: {
    status: 422,
    retryable: false,
    remedy: "The agent said that it cannot do the task; its reason is in the message.",
  },
  agent_bad_answer: {
    status: 422,
    retryable: false,
    remedy: "The answer stayed short of the agent's `validation`; reword the task or relax the thresholds.",
  },
  gates_failed: {
    status: 422,
    retryable: false,
    remedy: "The gates stayed red after the last repair round; their output is in gates.json.",
  },

  stale_verdict: {
    status: 409,
    retryable: false,
    remedy: "Something was written after the gates ran; run them again before the commit.",
  },

  // The repository and the tools.
  workspace_escape: {
    status: 403,
    retryable: false,
    remedy: "Use a path inside the workspace, not absolute, without `..` out of it and not under .git.",
  },
  tool_invalid_input: { status: 422, retryable: false, remedy: "Correct the named argument of the tool." },
  tool_failed: { status: 422, retryable: false, remedy: "The tool's message says what happened." },
  command_failed: {
    status: 422,
    retryable: false,
    remedy: "The command's output says what happened; allow the failure if it is expected.",
  },
  command_not_started: {
    status: 422,
    retryable: false,
    remedy: "Install the program, or correct its name or its folder; the message says which is missing.",
  },
  command_timeout: {
    status: 504,
    retryable: false,
    remedy: "Raise the command's time limit, or run something shorter.",
  },
  git_missing: { status: 500, retryable: false, remedy: "Install git 2.30 or later and put it on the PATH." },
  git_failed: { status: 422, retryable: false, remedy: "git's own message says what happened." },
  not_a_repository: {
    status: 422,
    retryable: false,
    remedy: "Name a folder that is a git repository with at least one commit.",
  },
  empty_repository: { status: 422, retryable: false, remedy: "Make a first commit in the repository." },
  dirty_target: {
    status: 409,
    retryable: false,
    remedy: "Commit or stash the changes of the target repository, or allow a dirty target.",
  },
  base_conflict: {
    status: 409,
    retryable: false,
    remedy:
      "The base branch moved and the change conflicts with it; rebase the branch by hand or run the task again.",
  },
  branch_exists: {
    status: 409,
    retryable: false,
    remedy: "Delete or rename the branch, or choose another name.",
  },
  secret_found: {
    status: 422,
    retryable: false,
    remedy: "Remove the secret from the change; its place is in the details.",
  },
  push_failed: {
    status: 502,
    retryable: true,
    remedy: "Check the remote's address and credentials; git's message says what happened.",
  },
  disk_full: {
    status: 507,
    retryable: true,
    remedy: "Free disk space in the data folder, then start again: nothing accepted was lost.",
  },
  read_only: { status: 500, retryable: false, remedy: "Make the data folder writable for this user." },
  store_incompatible: {
    status: 500,
    retryable: false,
    remedy: "The database was written by a newer agent-runner; install that version.",
  },
  store_corrupt: {
    status: 500,
    retryable: false,
    remedy: "The database file is damaged; restore it from a backup.",
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;

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
