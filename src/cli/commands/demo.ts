import { rm } from "node:fs/promises";
import { packageFile } from "../../app/package-files.ts";
import type { Json } from "../../base/json.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Run, RunDetail } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { type CommonOptions, type Connection, configOf, embed, quietly } from "../connect.ts";
import { type CrashProof, crashAndGoOn } from "../demo/crash.ts";
import { type OutageProof, type Providers, readOutage, startProviders, tellOutage } from "../demo/outage.ts";
import { makeStage, offerOwnNode, runTests, type Stage } from "../demo/stage.ts";
import { evidenceOf } from "../evidence.ts";
import { EXIT } from "../exit.ts";
import { git } from "../git.ts";
import { absolute, commandLine, quoted } from "../here.ts";
import { readInputs } from "../inputs.ts";
import type { Terminal } from "../terminal.ts";
import { indent, plain } from "../text.ts";
import { tellOutcome, watchRun } from "../watch.ts";

interface Options {
  readonly crash?: boolean;
  readonly outage?: boolean;
  readonly live?: boolean;
  readonly repo?: string;
  readonly task?: string;
  readonly keep: boolean;
  readonly verbose?: boolean;
}

const HELP = `
Without options it needs no key and no network: a small project is copied into a folder for temporary files, and a
scripted model changes it. Engine, agent, tools, gates and git are real.

  agent-runner demo --crash                           # kill the process in the middle of a step, and go on
  agent-runner demo --outage                          # a provider dies in the middle of an answer; another one goes on
  agent-runner demo --live                            # let your own provider do it
  agent-runner demo --repo . --task "Fix the title"   # on your own repository, with your own provider`;

export function addDemo({ program, act }: Cli): void {
  program
    .command("demo")
    .description("see it work: an agent changes a repository, gates judge it, git has the commit")
    .option("--crash", "kill the process that drives the run in the middle of a step, and go on with another")
    .option(
      "--outage",
      "two providers over the wire, of which one dies in the middle of an answer; still no key",
    )
    .option("--live", "ask your configured provider instead of the scripted model")
    .option(
      "--repo <path>",
      "your own repository (with --task); it is not touched, the work is a branch beside it",
    )
    .option("--task <text>", "what is to be done there, or @FILE")
    .option("--keep", "leave the copy where it is, to be looked at (default)")
    .option("--no-keep", "remove the copy at the end")
    .option("--verbose", "show the words of the model and the output of commands as they come")
    .addHelpText("after", HELP)
    .action(act(demo));
}

/** What is done, where, and with what. */
interface Plan {
  readonly stage: Stage | null;
  readonly repo: string;
  readonly inputs: Readonly<Record<string, Json>>;
  readonly common: CommonOptions;
  /** Settings of whoever drives the run. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly providers: Providers | null;
}

async function demo({ options, common, terminal }: Call<Options>): Promise<number> {
  offerOwnNode();
  const plan = await planOf(options, common);
  const { stage } = plan;
  let code: number | null = null;
  try {
    const asked = configOf(plan.common, { ...quietly(), ...plan.env });
    // Exploration would make it another story each time.
    const config = plan.providers === null ? asked : { ...asked, routing: { ...asked.routing, explore: 0 } };
    const connection = await embed(config, { near: plan.repo, work: options.crash !== true });
    try {
      checkModel(connection);
      await introduce(terminal, plan);
      code = await perform({ connection, plan, options, terminal, dataDir: config.dataDir });
    } finally {
      await connection.close();
    }
    return code;
  } finally {
    await plan.providers?.stop();
    // What was never begun leaves nothing worth keeping.
    if (stage !== null && (!options.keep || code === null))
      await rm(stage.root, { recursive: true, force: true });
  }
}

async function planOf(options: Options, common: CommonOptions): Promise<Plan> {
  const { repo, task } = options;
  checkTogether(options);
  if ((repo === undefined) !== (task === undefined)) {
    throw new FailureError(
      failure("invalid_usage", "--repo and --task go together: where, and what is to be done"),
    );
  }
  if (repo !== undefined && task !== undefined) {
    const inputs = await readInputs({ repo, task }, {});
    return { stage: null, repo: absolute(repo), inputs, common, env: {}, providers: null };
  }
  const stage = await makeStage();
  const { dataDir } = stage;
  const inputs = { repo: stage.repo, task: stage.task };
  const at = { ...common, data: common.data ?? dataDir };
  if (options.live) return { stage, repo: stage.repo, inputs, common: at, env: {}, providers: null };
  if (options.outage) {
    const providers = await startProviders();
    const { env, model } = providers;
    return { stage, repo: stage.repo, inputs, common: { ...at, model }, env, providers };
  }
  const env = {
    AGENT_RUNNER_SCRIPT: packageFile("examples", "demo-script.yaml"),
    AGENT_RUNNER_MODEL: "scripted/demo",
    AGENT_RUNNER_MODEL_ALLOW: "",
    AGENT_RUNNER_MODEL_DENY: "",
  };
  const scripted = { ...at, model: env.AGENT_RUNNER_MODEL };
  return { stage, repo: stage.repo, inputs, common: scripted, env, providers: null };
}

function checkTogether({ outage, crash, live, repo }: Options): void {
  if (!outage || !(crash || live || repo !== undefined)) return;
  throw new FailureError(
    failure("invalid_usage", "--outage has providers of its own: leave out --crash, --live and --repo"),
  );
}

/** Before any work: whether there is a model to do it. */
function checkModel({ house }: Connection): void {
  const resolved = house?.gateway.resolve(undefined, "execute");
  if (resolved && !resolved.ok) throw new FailureError(resolved.failure);
}

async function introduce(terminal: Terminal, plan: Plan): Promise<void> {
  const heading = (text: string) => terminal.say(`\n${terminal.mark("bold", text)}`);
  heading("The task");
  terminal.say(indent(plain(String(plan.inputs.task).trim())));
  if (plan.stage === null) {
    heading("The run");
    return;
  }
  heading("The tests, before");
  const { lines } = await runTests(plan.repo);
  for (const line of lines) {
    terminal.say(indent(terminal.mark(line.includes("✖") ? "red" : "green", plain(line))));
  }
  heading("The run");
}

interface Performance {
  readonly connection: Connection;
  readonly plan: Plan;
  readonly options: Options;
  readonly terminal: Terminal;
  readonly dataDir: string;
}

async function perform(of: Performance): Promise<number> {
  const { connection, plan, options, terminal } = of;
  const command = commandLine(plan.common);
  const { client } = connection;
  const run = await client.post<Run>("/runs", { workflow: "code-change", inputs: plan.inputs });
  const watched = { connection, run: run.id, terminal, command, verbose: options.verbose === true };
  void plan.providers?.died.then((how) => {
    if (how === null) return;
    const what = `  ✗ the provider of ${plan.common.model?.split(",")[0]} died (${how}), in the middle of its answer`;
    terminal.say(terminal.mark("red", `\n${what}\n`));
  });
  const crashed = options.crash
    ? await crashAndGoOn({ ...watched, dataDir: of.dataDir, env: plan.env })
    : { ...(await watchRun({ ...watched, noWait: false })), proof: null };
  const { code, detail, proof } = crashed;
  if (detail === null) return code;
  const outage = plan.providers === null ? null : await readOutage(client, run.id);
  terminal.say("");
  await tellOutcome(terminal, { client, detail, value: toldOf(detail, proof, outage) });
  await conclude(of, detail, command);
  return outage === null || code !== EXIT.ok ? code : tellOutage(terminal, outage);
}

function toldOf(run: RunDetail, crash: CrashProof | null, outage: OutageProof | null) {
  return { run, ...(crash === null ? {} : { crash }), ...(outage === null ? {} : { outage }) };
}

async function conclude(
  { connection, plan, options, terminal }: Performance,
  detail: RunDetail,
  command: string,
): Promise<void> {
  const run = detail.id;
  const { commit } = await evidenceOf(connection.client, detail);
  const next = [`${command} show ${run}`, `${command} events ${run}`, `${command} artifacts ${run}`];
  if (commit !== null) {
    terminal.say(`\n${terminal.mark("bold", "The commit")}`);
    terminal.say(
      indent(plain(await git(plan.repo, "show", "--stat", "--format=%h %an%n%n%B", commit.commit)).trim()),
    );
    next.push(`git -C ${quoted(plan.repo)} show ${commit.branch}`);
  }
  if (plan.stage !== null && !options.keep) return;
  terminal.say(`\n${terminal.mark("bold", "Look closer")}`);
  terminal.say(indent(next.join("\n")));
}
