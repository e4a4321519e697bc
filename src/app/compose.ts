import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { createLocalArtifacts } from "../adapters/artifacts/local/store.ts";
import { createRepoContexts } from "../adapters/context/repo-contexts.ts";
import { createCalendar } from "../adapters/definitions/calendar.ts";
import { createDefinitions } from "../adapters/definitions/definitions.ts";
import { checkInputs } from "../adapters/definitions/inputs.ts";
import { type Library, loadLibrary } from "../adapters/definitions/library.ts";
import { createExpressions } from "../adapters/expressions/cel.ts";
import { repositoryGates } from "../adapters/gates/gates.ts";
import { createLive } from "../adapters/live/in-process.ts";
import { RelayedLive } from "../adapters/live/relayed.ts";
import { openGroupRegistry, reapOrphans } from "../adapters/sandbox/host/group-registry.ts";
import { createHostSandbox } from "../adapters/sandbox/host/host-sandbox.ts";
import { operatingSystem, programsOnPath } from "../adapters/sandbox/host/surroundings.ts";
import { createToolBox } from "../adapters/tools/tool-box.ts";
import { gitWorkspaces } from "../adapters/workspace/git/workspaces.ts";
import { newId } from "../base/id.ts";
import type { Action, Actions } from "../contracts/action.ts";
import type { Mediator } from "../contracts/mediator.ts";
import type { ModelGateway } from "../contracts/model-gateway.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import type { RepoContexts } from "../contracts/repo-context.ts";
import type { Chore } from "../contracts/service.ts";
import { FailureError, ok, type Result } from "../domain/errors.ts";
import type { RunRequest } from "../domain/fact.ts";
import type { Redactor } from "../domain/redact.ts";
import { authorizeByRisk } from "../engine/authorize.ts";
import type { EngineParts } from "../engine/parts.ts";
import { accountant } from "../engine/services/accountant.ts";
import { collector } from "../engine/services/collector.ts";
import { scheduler } from "../engine/services/scheduler.ts";
import type { StepParts } from "../engine/steps/parts.ts";
import { createActions } from "../engine/steps/registry.ts";
import { SpendDesk } from "../gateway/spend.ts";
import { termsOf } from "../operations/admission/sla-terms.ts";
import { modelJudge } from "../operations/intake/judge.ts";
import type { Parts } from "../operations/parts.ts";
import { pastFailures } from "../operations/runs/past-failures.ts";
import { prepareRun } from "../operations/runs/prepare-run.ts";
import { RunViews } from "../operations/runs/run-views.ts";
import { type BudgetBook, openBudgets } from "./budgets.ts";
import type { Config } from "./config.ts";
import { makeDataFolder } from "./data-folder.ts";
import { type Database, openDatabase } from "./database.ts";
import { createFront, type Front, observed } from "./front.ts";
import { type Models, openModels } from "./gateway.ts";
import type { House } from "./house.ts";
import { createLife, type Life } from "./lifecycle.ts";
import { createLog } from "./log.ts";
import { redactorFor } from "./redact.ts";
import type { Reloadable } from "./reload.ts";

export interface ComposeOptions {
  /** Actions beside the built-in ones, for `uses`. */
  readonly actions?: readonly Action[];
  /** Model providers beside the configured ones; used only when named. */
  readonly providers?: readonly ModelProvider[];
  /** Absolute path of a project whose `.agent-runner/` holds workflows and agents of its own. */
  readonly project?: string;
  /** Reads the settings again, for a reload. */
  readonly settings?: () => Promise<Result<Config>>;
}

const AUTHOR = { name: "agent-runner", email: "agent-runner@localhost" };
const ASK_TIMEOUT_MS = 3_600_000;

/** Builds the house: the only place where it is chosen who fulfils which contract. */
export async function compose(config: Config, options: ComposeOptions = {}): Promise<House> {
  const redactor = redactorFor(config.env);
  const log = createLog(config.logLevel, redactor);
  await makeDataFolder(config.dataDir);
  const database = await openDatabase(config, log);
  const live = new RelayedLive({ local: createLive(), relay: database.live, clock: database.clock, log });
  try {
    const money = await openDesk(config, { log, database });
    return await furnish(config, options, { log, database, live, redactor, ...money });
  } catch (error) {
    live.close();
    await database.close();
    throw error;
  }
}

interface Ground {
  readonly log: Logger;
  readonly database: Database;
  readonly live: RelayedLive;
  readonly redactor: Redactor;
  readonly budgets: BudgetBook;
  readonly spendDesk: SpendDesk;
}

/** Where calls to models are paid for; a budgets file that is wrong is told now, not at the first call. */
async function openDesk(
  config: Config,
  { log, database }: Pick<Ground, "log" | "database">,
): Promise<Pick<Ground, "budgets" | "spendDesk">> {
  const budgets = await openBudgets(config.budgetsFile);
  const spendDesk = new SpendDesk({
    ledger: database.spend,
    settings: () => budgets.current,
    clock: database.clock,
    random: Math.random,
    defer: (run) => void setImmediate(run),
    onProblem: (problem) => log.warn({ problem }, "spending is not booked as it should be"),
  });
  return { budgets, spendDesk };
}

async function furnish(config: Config, options: ComposeOptions, ground: Ground): Promise<House> {
  const { log, database, redactor } = ground;
  const { clock } = database;
  const self = newId("wrk", Date.now(), Math.random);
  const models = await openModels(config, { ...ground, providers: options.providers ?? [], self });
  const { gateway, mediator } = models;
  const expressions = createExpressions();
  const toolBox = createToolBox();
  const catalog: Pick<Library, "agents"> & { agents: Library["agents"] } = { agents: [] };
  const artifacts = createLocalArtifacts(join(config.dataDir, "artifacts"));
  const workspaces = gitWorkspaces({ dataDir: config.dataDir, clock, environment: process.env });
  const contexts = createRepoContexts({
    cacheDir: join(config.dataDir, "cache"),
    environment: process.env,
    now: () => clock.now(),
  });
  const processes = join(config.dataDir, "processes");
  const actions = createActions(
    {
      agents: {
        get: (name) => catalog.agents.find(({ value }) => value.name === name)?.value ?? null,
        get names() {
          return catalog.agents.map(({ value }) => value.name);
        },
      },
      gateway,
      mediator,
      tools: toolBox,
      sandbox: createHostSandbox({ registry: openGroupRegistry(processes) }),
      workspaces,
      gates: repositoryGates(),
      artifacts,
      authorize: authorizeByRisk({ allowUpTo: "high", above: "ask", askTimeoutMs: ASK_TIMEOUT_MS }),
      author: AUTHOR,
      scratchRoot: join(config.dataDir, "scratch"),
      os: operatingSystem(),
      programs: () => programsOnPath(process.env.PATH ?? ""),
      contextMap: (request) => mapOf(contexts, request),
      pastFailures: (query) => pastFailures(database, query),
      redact: (text) => redactor.text(text, "certain").value,
    },
    options.actions,
  );
  const definitions = createDefinitions({ actions, expressions, toolNames: toolBox.names });
  const library = await loadLibrary({
    definitions,
    ...(options.project === undefined ? {} : { project: options.project }),
  });
  catalog.agents = library.agents;
  const front = await createFront(config, { database, clock: database.clock, log });
  const built = { artifacts, definitions, expressions, gateway, mediator, library, front };
  const operations = operationsOf({ config, ground, ...built });
  await saveWorkflows(database, library);
  const engine = engineOf({ ground, actions, artifacts, expressions, operations, front });
  const orphans = await reapOrphans(processes);
  if (orphans.orphans.length > 0)
    log.warn({ orphans: orphans.orphans }, "ended what a crashed server had left running");
  const life = await createLife({
    id: self,
    config,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    database,
    clock: database.clock,
    log,
    engine,
    localChores: [collector({ clock: database.clock, log, reader: database.reader, workspaces })],
    houseChores: [scheduling(database, engine, operations), accounting(ground)],
    reloadables: [logLevel(log), front.rules, budgetsOf(ground), models.settings],
  });
  await models.join();
  return houseOf({ config, ground, operations, actions, models, contexts, workspaces, library, life });
}

function accounting({ database, log, budgets }: Ground): Chore {
  const keepMs = () => budgets.current.keepMs;
  return accountant({ clock: database.clock, log, ledger: database.spend, keepMs });
}

function budgetsOf({ budgets }: Ground): Reloadable {
  return {
    settings: ["AGENT_RUNNER_BUDGETS"],
    prepare: (config) => budgets.prepare(config.budgetsFile),
  };
}

function scheduling(database: Database, engine: EngineParts, operations: Parts): Chore {
  return scheduler({
    ...engine,
    schedules: database.schedules,
    calendar: operations.calendar,
    newRunId: () => operations.newId("run"),
    prepare: async ({ id, workflow, spec }) => {
      const { inputs, tenant, queue, priority, title } = spec;
      const terms = termsOf(operations.desk.rules(), { priority }, database.clock.now());
      if (!terms.ok) return terms;
      return prepareRun(operations, {
        workflow,
        inputs,
        tenant,
        principal: `schedule:${id}`,
        queue,
        ...terms.value,
        ...(title === undefined ? {} : { title }),
      });
    },
  });
}

function logLevel(log: Logger): Reloadable {
  return {
    settings: ["AGENT_RUNNER_LOG"],
    prepare: async (config) =>
      ok(() => {
        log.level = config.logLevel;
      }),
  };
}

async function mapOf(
  contexts: RepoContexts,
  request: Parameters<NonNullable<StepParts["contextMap"]>>[0],
): Promise<string> {
  const { root, task, budgetTokens, signal } = request;
  const ranked = await contexts.rank({ repo: root, task, budgetTokens, signal });
  if (!ranked.ok) throw new FailureError(ranked.failure);
  return ranked.value.text;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function operationsOf(of: {
  readonly config: Config;
  readonly ground: Ground;
  readonly artifacts: Parts["artifacts"];
  readonly definitions: Parts["definitions"];
  readonly expressions: Parts["expressions"];
  readonly gateway: ModelGateway;
  readonly mediator: Mediator;
  readonly library: Library;
  readonly front: Front;
}): Parts {
  const { store, reader, workflows, schedules } = of.ground.database;
  const agents = of.library.agents.map(({ value }) => value);
  const { intentModel: use } = of.config;
  return {
    clock: of.ground.database.clock,
    newId: (prefix) => newId(prefix, Date.now(), Math.random),
    hash: sha256,
    store,
    reader,
    workflows,
    schedules,
    calendar: createCalendar(),
    artifacts: of.artifacts,
    definitions: of.definitions,
    checkInputs,
    expressions: of.expressions,
    agents: async () => agents,
    gateway: of.gateway,
    mediator: of.mediator,
    live: of.ground.live,
    spend: { ledger: of.ground.database.spend, settings: () => of.ground.budgets.current },
    redactor: of.ground.redactor,
    views: new RunViews(),
    fleet: of.ground.database.fleet,
    leaders: of.ground.database.leaders,
    desk: of.front.desk,
    metrics: of.front.metrics,
    probes: [],
    ...(use === null
      ? {}
      : { intentJudge: modelJudge({ gateway: of.gateway, clock: of.ground.database.clock, use }) }),
  };
}

/** A run is pinned to a hash, so every definition that can be started is in the store before anything starts. */
async function saveWorkflows(database: Database, library: Library): Promise<void> {
  for (const { value, source, origin } of library.workflows) {
    if ((await database.workflows.latest(value.name))?.workflow.hash === value.hash) continue;
    await database.workflows.save({ workflow: value, source, origin, savedAt: database.clock.now() });
  }
}

function engineOf(of: {
  readonly ground: Ground;
  readonly actions: Actions;
  readonly artifacts: EngineParts["artifacts"];
  readonly expressions: EngineParts["expressions"];
  readonly operations: Parts;
  readonly front: Front;
}): EngineParts {
  const { ground, operations } = of;
  return {
    store: ground.database.store,
    runs: ground.database.reader,
    workflows: ground.database.workflows,
    artifacts: of.artifacts,
    actions: of.actions,
    expressions: of.expressions,
    live: ground.live,
    log: ground.log,
    redactor: ground.redactor,
    clock: ground.database.clock,
    random: Math.random,
    hash: sha256,
    defer: (run) => void setImmediate(run),
    retryBudget: () => of.front.rules.current().retryBudget,
    observe: observed(of.front),
    prepareChild: (child, parent) => prepareRun(operations, { ...child, ...inherited(parent) }),
  };
}

/** A child is its parent's work; when it begins, and how long it takes, nobody promised for it alone. */
function inherited({ tenant, principal, queue, priority, deadlineAt, sla }: RunRequest) {
  const own = sla === undefined ? null : { class: sla.class, startBy: null, targetMs: null };
  return { tenant, principal: principal ?? null, queue, priority, deadlineAt, sla: own };
}

function houseOf(of: {
  readonly config: Config;
  readonly ground: Ground;
  readonly operations: Parts;
  readonly actions: Actions;
  readonly models: Models;
  readonly contexts: RepoContexts;
  readonly workspaces: House["workspaces"];
  readonly library: Library;
  readonly life: Life;
}): House {
  const { ground, life } = of;
  let closed: Promise<void> | null = null;
  const close = async () => {
    await life.stop();
    await of.contexts.close();
    await of.models.leave();
    ground.live.close();
    await ground.spendDesk.flush();
    await ground.database.close();
  };
  return {
    get config() {
      return life.config();
    },
    clock: ground.database.clock,
    log: ground.log,
    operations: { ...of.operations, steering: life.steering },
    actions: of.actions,
    gateway: of.models.gateway,
    contexts: of.contexts,
    workspaces: of.workspaces,
    worker: life.worker,
    problems: of.library.diagnostics,
    start: (roles) => life.start(roles),
    drain: () => life.drain(),
    reload: () => life.steering.reload(),
    close() {
      closed ??= close();
      return closed;
    },
  };
}
