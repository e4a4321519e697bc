import type { Json } from "../base/json.ts";
import type { Action } from "../contracts/action.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import type { RunFilter } from "../contracts/run-store.ts";
import type { ApprovalStatus } from "../domain/approval.ts";
import { FailureError, failure, type Result } from "../domain/errors.ts";
import type { Fact } from "../domain/fact.ts";
import { hasRunEnded, type RunSummary } from "../domain/run.ts";
import { answerApproval } from "../operations/approvals/answer-approval.ts";
import { type ApprovalPage, listApprovals } from "../operations/approvals/list-approvals.ts";
import { findArtifact, readArtifact } from "../operations/artifacts/read-artifact.ts";
import { callerNamed } from "../operations/caller.ts";
import type { Parts } from "../operations/parts.ts";
import { cancelRun } from "../operations/runs/cancel-run.ts";
import { findRun } from "../operations/runs/find-run.ts";
import { followRun } from "../operations/runs/follow-run.ts";
import { listRuns, type RunPage } from "../operations/runs/list-runs.ts";
import { pauseRun } from "../operations/runs/pause-run.ts";
import { replyToRun } from "../operations/runs/reply-to-run.ts";
import { resumeRun } from "../operations/runs/resume-run.ts";
import { sendSignal } from "../operations/runs/send-signal.ts";
import { startRun } from "../operations/runs/start-run.ts";
import { uploadWorkflow } from "../operations/workflows/upload-workflow.ts";
import { compose } from "./compose.ts";
import { readConfig } from "./config.ts";
import type { House } from "./house.ts";

export interface RunnerOptions {
  /** Folder for the database, artifacts and workspaces; `~/.agent-runner` when absent. */
  readonly dataDir?: string;
  /** Settings as environment variables; nothing is read from the process's own environment unless it is passed here. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly actions?: readonly Action[];
  readonly providers?: readonly ModelProvider[];
  /** Absolute path of a project with definitions of its own. */
  readonly project?: string;
  /** `false`: admits and reads, but leaves the driving to other processes. */
  readonly work?: boolean;
}

export interface StartOptions {
  readonly title?: string;
  readonly deadline?: string;
  /** A duration or a moment: a run that has not begun by then is not begun any more. */
  readonly startBy?: string;
  /** A priority class; or `priority`, of which 0 is the most urgent. */
  readonly class?: string;
  readonly priority?: number;
  readonly idempotencyKey?: string;
  /** For whom; the tenant `default` when absent. */
  readonly tenant?: string;
  readonly principal?: string;
  /** What the run and all that it starts may spend; dollars as `$2` or `0.50`. */
  readonly budget?: { readonly cost: string | number };
}

export interface RunQuery extends RunFilter {
  /** The last id of the page before. */
  readonly after?: string;
  readonly limit?: number;
}

export interface ApprovalQuery {
  readonly status?: ApprovalStatus;
  readonly run?: string;
  /** The last id of the page before. */
  readonly after?: string;
  readonly limit?: number;
}

/** agent-runner inside your own process. What fails rejects with a `FailureError` whose `failure` has code and remedy. */
export interface Runner {
  /** Validates and saves a workflow; returns its name and content hash. */
  addWorkflow(yaml: string, file?: string): Promise<{ readonly name: string; readonly hash: string }>;
  start(workflow: string, inputs: Json, options?: StartOptions): Promise<RunSummary>;
  /** The run once it has ended. */
  wait(run: string, options?: { readonly signal?: AbortSignal }): Promise<RunSummary>;
  /** Facts in order from after `after`, as they come, until the run's end. */
  facts(
    run: string,
    options?: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<Fact>;
  /** A run as it is now; `not_found` when there is none. */
  run(run: string): Promise<RunSummary>;
  /** A page of runs, the newest first; `limit` is 50 when absent, 200 at most. */
  runs(query?: RunQuery): Promise<RunPage>;
  signal(run: string, name: string, body?: Json): Promise<void>;
  /** No further step begins until it is resumed; what is under way comes to its end. */
  pause(run: string): Promise<void>;
  resume(run: string): Promise<void>;
  /** A person's words to a live run: its agents hear them, and a step may wait for the signal `reply`. */
  reply(run: string, text: string): Promise<void>;
  cancel(run: string, reason?: string): Promise<void>;
  /** A page of questions to people, the newest first. */
  approvals(query?: ApprovalQuery): Promise<ApprovalPage>;
  /** Once: `already_answered`, or `answer_too_late` when it has expired. */
  answer(approval: string, answer: "approved" | "denied", comment?: string): Promise<void>;
  artifact(run: string, id: string): Promise<Uint8Array>;
  /** The parts behind it, for what this small surface leaves out. */
  readonly house: House;
  close(): Promise<void>;
}

const FROM = "library";

function must<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new FailureError(result.failure);
}

/** Opens (and starts) a runner on a data folder. Several processes may open the same one. */
export async function openRunner(options: RunnerOptions = {}): Promise<Runner> {
  const env = {
    ...options.env,
    ...(options.dataDir === undefined ? {} : { AGENT_RUNNER_DATA: options.dataDir }),
  };
  const { actions, providers, project } = options;
  const house = await compose(must(readConfig(env)), {
    ...(actions === undefined ? {} : { actions }),
    ...(providers === undefined ? {} : { providers }),
    ...(project === undefined ? {} : { project }),
  });
  if (options.work !== false) await house.start(["worker", "services"]);
  return runnerOf(house);
}

export function runnerOf(house: House): Runner {
  const parts = house.operations;
  const follow = (run: string, after: number, signal: AbortSignal) =>
    followRun(parts, { run, after, live: false, signal });
  return {
    house,
    addWorkflow: async (yaml, file = "workflow.yaml") => {
      const { workflow } = must(await uploadWorkflow(parts, { source: yaml, file })).stored;
      return { name: workflow.name, hash: workflow.hash };
    },
    start: async (workflow, inputs, { tenant, principal, ...more } = {}) => {
      const caller = must(callerNamed({ tenant, principal }));
      return must(await startRun(parts, { workflow, inputs, ...more, caller })).run;
    },
    async wait(run, { signal = new AbortController().signal } = {}) {
      for await (const event of must(await follow(run, 0, signal))) void event;
      const summary = must(await findRun(parts, run));
      if (!hasRunEnded(summary.status))
        throw new FailureError(failure("canceled", `waiting for ${run} was given up`));
      return summary;
    },
    async *facts(run, { after = 0, signal = new AbortController().signal } = {}) {
      for await (const event of must(await follow(run, after, signal)))
        if (event.kind === "fact") yield event.fact;
    },
    run: async (run) => must(await findRun(parts, run)),
    runs: async ({ after, limit, ...filter } = {}) =>
      must(
        await listRuns(parts, {
          filter,
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        }),
      ),
    ...messagesOf(parts),
    approvals: async (query = {}) => must(await listApprovals(parts, query)),
    answer: async (approval, answer, comment = "") =>
      void must(await answerApproval(parts, { approval, answer, by: FROM, comment })),
    artifact: async (run, id) =>
      must(await readArtifact(parts, must(await findArtifact(parts, { run, artifact: id })))),
    close: () => house.close(),
  };
}

/** What can be said to a run. */
function messagesOf(parts: Parts): Pick<Runner, "signal" | "pause" | "resume" | "reply" | "cancel"> {
  return {
    signal: async (run, name, body = null) =>
      void must(await sendSignal(parts, { run, name, body, from: FROM })),
    pause: async (run) => void must(await pauseRun(parts, { run, from: FROM })),
    resume: async (run) => void must(await resumeRun(parts, { run, from: FROM })),
    reply: async (run, text) => void must(await replyToRun(parts, { run, text, from: FROM })),
    cancel: async (run, reason) =>
      void must(await cancelRun(parts, { run, from: FROM, ...(reason === undefined ? {} : { reason }) })),
  };
}
