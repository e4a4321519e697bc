import type { JsonObject } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Run, Workflow } from "../../http/api.ts";
import { type Call, type Cli, collect, wholeNumber } from "../command.ts";
import type { Connection } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { absolute, commandLine, here } from "../here.ts";
import { type InputOptions, readInputs } from "../inputs.ts";
import { tellDefinitions } from "../tell-definitions.ts";
import { hintWaiting, tellOutcome, watchRun } from "../watch.ts";
import { wishesOf } from "../wishes.ts";
import { hintNobodyWorks, withConnection } from "../with-connection.ts";

interface Options extends InputOptions {
  readonly title?: string;
  readonly deadline?: string;
  readonly startBy?: string;
  readonly class?: string;
  readonly priority?: number;
  /** US dollars, as written. */
  readonly budget?: string;
  readonly idempotencyKey?: string;
  readonly detach?: boolean;
  /** Commander's way to say `--no-wait`. */
  readonly wait: boolean;
  readonly verbose?: boolean;
}

const HELP = `
Progress goes to stderr, the outcome to stdout. Ctrl-C asks the run to cancel; a second one leaves at once.
A run that waits for a person is waited for, and asked about where somebody can answer; with --no-wait the command
ends with exit code 5 instead.

  agent-runner run hello -i name=Ada
  agent-runner run code-change --repo . --task "Fix the login page"
  agent-runner run code-change --repo . --task @task.md --json`;

export function addRun({ program, act }: Cli): void {
  program
    .command("run <workflow>")
    .description("start a run and watch it; drives it here when no server runs")
    .option("-i, --input <key=value>", "an input; text as it is, everything else as JSON", collect)
    .option("--inputs <file>", "inputs as a JSON object in a file, or - for stdin")
    .option("--repo <path>", "the input `repo`, made absolute")
    .option("--task <text>", "the input `task`, or @FILE")
    .option("--title <text>", "how lists show the run")
    .option("--deadline <when>", "a duration (2h) or a moment (2026-01-31T12:00:00Z)")
    .option("--start-by <when>", "the same: not begun by then, it is not begun any more")
    .option("--class <name>", "its priority class, e.g. high; `agent-runner queue` lists them")
    .option("--priority <n>", "0 is the most urgent", wholeNumber(0, LIMITS.priorities - 1))
    .option("--budget <usd>", "what it and all that it starts may spend, e.g. $2 or 0.50")
    .option("--idempotency-key <key>", "the same key starts one run, however often it is sent")
    .option("--detach", "start it and come back")
    .option("--no-wait", "come back when it waits for a person")
    .option("--verbose", "show the words of models and the output of commands as they come")
    .addHelpText("after", HELP)
    .action(act(run));
}

function run(call: Call<Options>, workflow: string): Promise<number> {
  const { options, common } = call;
  const near = options.repo === undefined ? here() : absolute(options.repo);
  const use = (connection: Connection) => runWith(connection, call, workflow);
  return withConnection(common, use, { work: options.detach !== true, near });
}

async function runWith(connection: Connection, call: Call<Options>, workflow: string): Promise<number> {
  const { options, common, terminal } = call;
  const { client, house } = connection;
  tellDefinitions(terminal, house);
  const { inputs: schema } = await client.get<Workflow>(`/workflows/${encodeURIComponent(workflow)}`);
  const inputs = await readInputs(options, schema as JsonObject);
  const started = await start(connection, { workflow, inputs, options });
  const command = commandLine(common);
  if (options.detach) {
    terminal.result(started, () => `${started.id} ${started.status}`);
    await hintNobodyWorks(connection, terminal, common);
    terminal.say(`Follow it with: ${command} events ${started.id} --follow`);
    return EXIT.ok;
  }
  terminal.say(`${terminal.mark("bold", started.id)}  ${started.workflow}`);
  const { code, detail } = await watchRun({
    connection,
    run: started.id,
    terminal,
    verbose: options.verbose === true,
    noWait: !options.wait,
    command,
  });
  if (detail !== null) await tellOutcome(terminal, { client, detail });
  if (detail !== null && code === EXIT.waiting) hintWaiting(terminal, detail, command);
  return code;
}

function start(
  { client }: Connection,
  of: { readonly workflow: string; readonly inputs: JsonObject; readonly options: Options },
): Promise<Run> {
  const { idempotencyKey } = of.options;
  return client.post<Run>(
    "/runs",
    {
      workflow: of.workflow,
      inputs: of.inputs,
      ...wishesOf(of.options),
    },
    idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey },
  );
}
