import { Command, CommanderError } from "commander";
import { productVersion } from "../app/version.ts";
import { type Failure, FailureError, failure } from "../domain/errors.ts";
import { createCli } from "./command.ts";
import { addAct } from "./commands/act.ts";
import { addAgents } from "./commands/agents.ts";
import { addApprovals } from "./commands/approvals.ts";
import { addArtifacts } from "./commands/artifacts.ts";
import { addBench } from "./commands/bench.ts";
import { addContext } from "./commands/context.ts";
import { addDb } from "./commands/db.ts";
import { addDemo } from "./commands/demo.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEvents } from "./commands/events.ts";
import { addFakeModels } from "./commands/fake-models.ts";
import { addInit } from "./commands/init.ts";
import { addMessages } from "./commands/messages.ts";
import { addModels } from "./commands/models.ts";
import { addProviders } from "./commands/providers.ts";
import { addQueue } from "./commands/queue.ts";
import { addReload } from "./commands/reload.ts";
import { addRun } from "./commands/run.ts";
import { addRuns } from "./commands/runs.ts";
import { addSchedules } from "./commands/schedules.ts";
import { addShow } from "./commands/show.ts";
import { addSpend } from "./commands/spend.ts";
import { addStart } from "./commands/start.ts";
import { addTask } from "./commands/task.ts";
import { addUpload } from "./commands/upload.ts";
import { addValidate } from "./commands/validate.ts";
import { addWorker } from "./commands/worker.ts";
import { addWorkers } from "./commands/workers.ts";
import { addWorkflows } from "./commands/workflows.ts";
import { EXIT, exitCodeOf } from "./exit.ts";
import { createTerminal, explainFailure } from "./terminal.ts";

const COMMANDS = [
  addInit,
  addDoctor,
  addDemo,
  addStart,
  addWorker,
  addWorkers,
  addReload,
  addRun,
  addAct,
  addTask,
  addRuns,
  addQueue,
  addShow,
  addEvents,
  addMessages,
  addApprovals,
  addArtifacts,
  addWorkflows,
  addUpload,
  addSchedules,
  addValidate,
  addAgents,
  addProviders,
  addModels,
  addSpend,
  addBench,
  addContext,
  addDb,
  addFakeModels,
];

/** Runs one command line; resolves to the exit code and never rejects. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const json = argv.includes("--json");
  let code: number = EXIT.ok;
  quietPipes();
  const fatal = (error: unknown) => process.exit(tell(error, json));
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  try {
    await createProgram((given) => {
      code = given;
    }).parseAsync([...argv]);
    return code;
  } catch (error) {
    return tell(error, json);
  }
}

export function createProgram(onExit: (code: number) => void): Command {
  const program = new Command("agent-runner")
    .description("A self-hosted control plane for AI agents that change real repositories.")
    .version(productVersion(), "-V, --version", "print the version")
    .option("--json", "results as JSON, on stdout")
    .option("--data <dir>", "folder of the database, artifacts and workspaces (default: ~/.agent-runner)")
    .option("--server <url>", "the server to talk to; otherwise the one of the data folder, or none")
    .option("--tenant <name>", "for whom; a server believes it only when it trusts identity headers")
    .option("--principal <name>", "who of the tenant")
    .option("--model <provider/model>", "the model of agents that name none")
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  const cli = createCli(program, onExit);
  for (const add of COMMANDS) add(cli);
  return program;
}

/** Tells what went wrong, in the words of the catalogue; returns the exit code. */
function tell(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    // Help was shown because no command was named.
    if (error.code === "commander.help") return EXIT.usage;
  }
  const value = failureOf(error);
  const terminal = createTerminal(json);
  process.stderr.write(`${explainFailure(terminal, value)}\n`);
  if (error instanceof CommanderError) return EXIT.usage;
  const debug = process.env.AGENT_RUNNER_LOG === "debug";
  if (value.code === "internal" && error instanceof Error && debug) process.stderr.write(`${error.stack}\n`);
  return exitCodeOf(value);
}

function failureOf(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  if (error instanceof CommanderError) {
    return failure("invalid_usage", error.message.replace(/^error: /, "").replaceAll("\n", " "));
  }
  return failure("internal", error instanceof Error ? error.message : String(error));
}

/** A reader that has seen enough (`| head`) is no error. */
function quietPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT.ok);
      throw error;
    });
  }
}
