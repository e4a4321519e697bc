import { parseDuration } from "../../base/duration.ts";
import type { Json } from "../../base/json.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { hasRunEnded } from "../../domain/run.ts";
import type { Act } from "../../http/api.ts";
import { type Call, type Cli, collect, wholeNumber } from "../command.ts";
import type { Connection } from "../connect.ts";
import { EXIT, exitCodeOfRun } from "../exit.ts";
import { absolute, commandLine, here } from "../here.ts";
import { type InputOptions, readInputs, readTask } from "../inputs.ts";
import { styled } from "../summary.ts";
import type { Terminal } from "../terminal.ts";
import { oneLine } from "../text.ts";
import { wishesOf } from "../wishes.ts";
import { hintNobodyWorks, withConnection } from "../with-connection.ts";

interface Options extends Omit<InputOptions, "task"> {
  readonly workflow?: string;
  readonly agent?: string;
  readonly title?: string;
  readonly deadline?: string;
  readonly startBy?: string;
  readonly class?: string;
  readonly priority?: number;
  /** US dollars, as written. */
  readonly budget?: string;
  readonly idempotencyKey?: string;
  /** Seconds. */
  readonly wait?: number;
}

const MS = 1_000;
const MOST_SECONDS = LIMITS.longPollMs / MS;
const OUTPUT_WIDTH = 2_000;

const HELP = `
Finds the workflow or agent that the words are for and starts it. When that is not clear nothing is started, and the
candidates are named. With --wait the work is done here when no server runs; if it has not ended by then the command
ends with exit code 3, and the run can be taken up again.

  agent-runner act "Fix the crash on an empty password" --repo .
  agent-runner act "Review feature/login against main" --repo . --wait 30s
  agent-runner act @request.md --workflow documentation --repo .`;

export function addAct({ program, act: perform }: Cli): void {
  program
    .command("act <text>")
    .description("do what is asked for in free words; @FILE takes the text of a file")
    .option("-i, --input <key=value>", "an input; it goes before what the text says", collect)
    .option("--inputs <file>", "inputs as a JSON object in a file, or - for stdin")
    .option("--repo <path>", "the input `repo`, made absolute")
    .option("--workflow <name>", "the workflow, instead of the one that fits the text")
    .option("--agent <name>", "the agent, instead of the one that fits the text")
    .option("--title <text>", "how lists show the run")
    .option("--deadline <when>", "a duration (2h) or a moment (2026-01-31T12:00:00Z)")
    .option("--start-by <when>", "the same: not begun by then, it is not begun any more")
    .option("--class <name>", "its priority class, e.g. high; `agent-runner queue` lists them")
    .option("--priority <n>", "0 is the most urgent", wholeNumber(0, LIMITS.priorities - 1))
    .option("--budget <usd>", "what it and all that it starts may spend, e.g. $2 or 0.50")
    .option("--idempotency-key <key>", "the same key starts one run, however often it is sent")
    .option("--wait <duration>", `wait for its end, ${MOST_SECONDS}s at most`, waitSeconds)
    .addHelpText("after", HELP)
    .action(perform(act));
}

function waitSeconds(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms <= LIMITS.longPollMs) return Math.ceil(ms / MS);
  const message = `--wait is ${JSON.stringify(text)}; expected a duration like 30s, ${MOST_SECONDS}s at most`;
  throw new FailureError(failure("invalid_usage", message));
}

async function act(call: Call<Options>, said: string): Promise<number> {
  const { options, common, terminal } = call;
  const text = await readTask(said);
  const inputs = await readInputs(options, {});
  const near = options.repo === undefined ? here() : absolute(options.repo);
  const send = async (connection: Connection) => {
    const acted = await post(connection, { options, text, inputs });
    terminal.result(acted, () => actText(terminal, acted));
    if (hasRunEnded(acted.run.status)) return exitCodeOfRun(acted.run.status);
    if (options.wait === undefined) await hintNobodyWorks(connection, terminal, common);
    terminal.say(`Follow it with: ${commandLine(common)} events ${acted.id} --follow`);
    return options.wait === undefined ? EXIT.ok : EXIT.unavailable;
  };
  return withConnection(common, send, { work: options.wait !== undefined, near });
}

function post(
  { client }: Connection,
  of: { readonly options: Options; readonly text: string; readonly inputs: Json },
): Promise<Act> {
  const { workflow, agent, idempotencyKey, wait } = of.options;
  return client.post<Act>(
    "/v1/act",
    {
      text: of.text,
      inputs: of.inputs,
      ...(workflow === undefined ? {} : { workflow }),
      ...(agent === undefined ? {} : { agent }),
      ...wishesOf(of.options),
    },
    {
      ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
      ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
    },
  );
}

function actText(terminal: Terminal, { id, state, run, intent }: Act): string {
  const { chosen, by, candidates } = intent;
  const score = candidates.find(({ kind, name }) => kind === chosen.kind && name === chosen.name)?.score;
  const why = by === "named" ? "named" : by === "model" ? `chosen by ${intent.model}` : `score ${score}`;
  const status = state === "accepted" ? state : styled(terminal, state);
  const lines = [`${id} ${status}  ${chosen.kind} ${chosen.name} (${why})`];
  if (run.failure !== null) lines.push(oneLine(run.failure.message, OUTPUT_WIDTH));
  if (state === "completed") lines.push(JSON.stringify(run.output, null, 2) ?? "");
  return lines.join("\n");
}
