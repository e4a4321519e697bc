import { writeFile } from "node:fs/promises";
import { InvalidArgumentError } from "commander";
import { packageFile } from "../../app/package-files.ts";
import type { BenchStage, BenchTask } from "../../contracts/model-bench.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { BenchCall } from "../../operations/bench/bench-models.ts";
import { type BenchReport, benchMarkdown } from "../../operations/bench/report.ts";
import { type Call, type Cli, collect, wholeNumber } from "../command.ts";
import { configOf, quietly } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { absolute } from "../here.ts";
import { onStop } from "../interrupts.ts";
import type { Terminal } from "../terminal.ts";
import { plural } from "../text.ts";

interface Options {
  readonly stages?: readonly BenchStage[];
  readonly models?: readonly string[];
  readonly tasks?: string;
  readonly repeat: number;
  readonly maxCost?: number;
  readonly out?: readonly string[];
}

const STAGES: readonly BenchStage[] = ["context", "retrieval", "plan", "execute", "review", "summarise"];
const MOST_ROUNDS = 1_000;
const MOST_CALLS = 100_000;
const MICROS = 1_000_000;

export function addBench({ program, act }: Cli): void {
  const bench = program.command("bench").description("compare what can be chosen between");
  bench
    .command("models")
    .description("which model for which stage: latency, usage, cost and quality over a set of tasks")
    .option("--stages <list>", `of ${STAGES.join(", ")}; all when absent`, stageList)
    .option(
      "--models <list>",
      "provider/model, separated by commas; those of AGENT_RUNNER_MODEL when absent",
      names,
    )
    .option(
      "--tasks <dir>",
      "your own tasks, a YAML file a stage (default: those that come with agent-runner)",
    )
    .option("--repeat <n>", "how often each model does each task", wholeNumber(1, MOST_ROUNDS), 1)
    .option(
      "--max-cost <usd>",
      "all calls together may cost no more; stops before the call that could",
      dollars,
    )
    .option(
      "--out <file>",
      "write the report there: *.md for people, *.json with every call; may be repeated",
      collect,
    )
    .action(act(benchModels));
}

async function benchModels({ options, common, terminal }: Call<Options>): Promise<number> {
  const config = configOf(common, quietly());
  const models = options.models ?? names(config.model ?? "");
  if (models.length === 0) {
    const remedy = "name some with --models provider/model,provider/model, or set AGENT_RUNNER_MODEL";
    throw new FailureError(failure("invalid_usage", `no models to compare: ${remedy}`));
  }
  for (const file of options.out ?? []) {
    if (/\.(md|json)$/i.test(file)) continue;
    throw new FailureError(failure("invalid_usage", `--out ${file}: the name ends with .md or .json`));
  }
  const { readBenchTasks, runModelBench } = await import("../../app/bench-models.ts");
  const folder =
    options.tasks === undefined ? packageFile("examples", "model-tasks") : absolute(options.tasks);
  const tasks = chosen(await readBenchTasks(folder), options.stages);
  const calls = tasks.length * models.length * options.repeat;
  if (calls > MOST_CALLS) {
    throw new FailureError(
      failure("invalid_usage", `that would be ${calls} calls; at most ${MOST_CALLS}: lower --repeat`),
    );
  }
  terminal.say(
    `${plural(tasks.length, "task")}, ${plural(models.length, "model")}: ${plural(calls, "call")}`,
  );
  const stopped = new AbortController();
  const release = onStop(() => stopped.abort());
  let done = 0;
  try {
    const report = await runModelBench(config, {
      tasks,
      models,
      repeat: options.repeat,
      maxCostMicros: options.maxCost === undefined ? null : Math.round(options.maxCost * MICROS),
      signal: stopped.signal,
      onCall: (call) => {
        done += 1;
        tellCall(terminal, call, `${done}/${calls}`);
      },
    });
    return await tell(report, { options, terminal, stopped: stopped.signal.aborted });
  } finally {
    release();
  }
}

async function tell(
  report: BenchReport,
  of: { readonly options: Options; readonly terminal: Terminal; readonly stopped: boolean },
): Promise<number> {
  const { options, terminal } = of;
  const markdown = benchMarkdown(report);
  for (const file of options.out ?? []) {
    await write(
      file,
      /\.json$/i.test(file)
        ? `${JSON.stringify(report, null, 2)}
`
        : markdown,
    );
  }
  terminal.result(report, () => markdown);
  if (of.stopped) return EXIT.terminated;
  const answered = report.calls.some((call) => call.failure === null);
  return answered && report.skipped.length === 0 ? EXIT.ok : EXIT.failed;
}

async function write(file: string, content: string): Promise<void> {
  await writeFile(absolute(file), content).catch((error: Error) => {
    throw new FailureError(failure("invalid_usage", `--out ${file} cannot be written: ${error.message}`));
  });
}

function tellCall(terminal: Terminal, call: BenchCall, place: string): void {
  const end =
    call.failure === null
      ? `${call.score.toFixed(2)}  ${Math.round(call.ms ?? 0)}ms`
      : `${call.failure.code}`;
  const line = `${place.padStart(9)}  ${call.stage.padEnd(9)}  ${call.task}  ${call.model}  ${end}`;
  terminal.say(call.failure === null ? line : terminal.mark("red", line));
}

function chosen(
  tasks: readonly BenchTask[],
  stages: readonly BenchStage[] | undefined,
): readonly BenchTask[] {
  if (stages === undefined) return tasks;
  const empty = stages.filter((stage) => !tasks.some((task) => task.stage === stage));
  if (empty.length > 0) {
    throw new FailureError(failure("invalid_usage", `there is no task for the stage ${empty.join(", ")}`));
  }
  return tasks.filter((task) => stages.includes(task.stage));
}

function names(text: string): readonly string[] {
  return [...new Set(text.split(",").map((name) => name.trim()))].filter((name) => name !== "");
}

function stageList(text: string): readonly BenchStage[] {
  return names(text).map((name) => {
    const stage = STAGES.find((one) => one === name);
    if (stage === undefined)
      throw new InvalidArgumentError(`"${name}" is no stage; they are ${STAGES.join(", ")}.`);
    return stage;
  });
}

function dollars(text: string): number {
  const value = Number(text);
  if (/^\d{1,9}(\.\d{1,6})?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError("Expected US dollars, like 0.50.");
}
