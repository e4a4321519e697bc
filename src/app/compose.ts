import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { createLocalArtifacts } from "../adapters/artifacts/local/store.ts";
import { createRepoContexts } from "../adapters/context/repo-contexts.ts";
import { createDefinitions } from "../adapters/definitions/definitions.ts";
import { checkInputs } from "../adapters/definitions/inputs.ts";
import { type Library, loadLibrary } from "../adapters/definitions/library.ts";
import { createExpressions } from "../adapters/expressions/cel.ts";
import { repositoryGates } from "../adapters/gates/gates.ts";
import { createLive } from "../adapters/live/in-process.ts";
import { openGroupRegistry, reapOrphans } from "../adapters/sandbox/host/group-registry.ts";
import { createHostSandbox } from "../adapters/sandbox/host/host-sandbox.ts";
import { operatingSystem, programsOnPath } from "../adapters/sandbox/host/surroundings.ts";
import { processStart } from "../adapters/store/sql/process.ts";
import { createToolBox } from "../adapters/tools/tool-box.ts";
import { gitWorkspaces } from "../adapters/workspace/git/workspaces.ts";
import { newId } from "../base/id.ts";
import type { Action, Actions } from "../contracts/action.ts";
import type { ModelGateway } from "../contracts/model-gateway.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import type { RepoContexts } from "../contracts/repo-context.ts";
import { FailureError } from "../domain/errors.ts";
import { authorizeByRisk } from "../engine/authorize.ts";
import type { EngineParts } from "../engine/parts.ts";
import { createAccountant } from "../engine/services/accountant.ts";
import { createCollector } from "../engine/services/collector.ts";
import { createRescuer } from "../engine/services/rescuer.ts";
import { createTimers } from "../engine/services/timers.ts";
import type { StepParts } from "../engine/steps/parts.ts";
import { createActions } from "../engine/steps/registry.ts";
import { Worker } from "../engine/worker.ts";
import { SpendDesk } from "../gateway/spend.ts";
import { modelJudge } from "../operations/intake/judge.ts";
import type { Parts } from "../operations/parts.ts";
import { pastFailures } from "../operations/runs/past-failures.ts";
import { prepareRun } from "../operations/runs/prepare-run.ts";
import { type BudgetBook, budgetBook } from "./budgets.ts";
import type { Config } from "./config.ts";
import { makeDataFolder } from "./data-folder.ts";
import { type Database, openDatabase } from "./database.ts";
import type { House } from "./house.ts";
import { createModels } from "./models.ts";
import { redactorFor } from "./redact.ts";
import { systemClock } from "./system-clock.ts";

export interface ComposeOptions {
  /** Actions beside the built-in ones, for `uses`. */
  readonly actions?: readonly Action[];
  /** Model providers beside the configured ones; used only when named. */
  readonly providers?: readonly ModelProvider[];
  /** Absolute path of a project whose `.agent-runner/` holds workflows and agents of its own. */
  readonly project?: string;
}

const AUTHOR = { name: "agent-runner", email: "agent-runner@localhost" };
const ASK_TIMEOUT_MS = 3_600_000;

/** Builds the house: the only place where it is chosen who fulfils which contract. */
export async function compose(config: Config, options: ComposeOptions = {}): Promise<House> {
  const log = pino({ level: config.logLevel, base: null }, pino.destination(2));
  await makeDataFolder(config.dataDir);
  const database = await openDatabase(config, log);
  try {
    const money = await openDesk(config, { log, database });
    return await furnish(config, options, { log, database, ...money });
  } catch (error) {
    await database.close();
    throw error;
  }
}

interface Ground {
  readonly log: Logger;
  readonly database: Database;
  readonly budgets: BudgetBook;
  readonly desk: SpendDesk;
}

/** Where calls to models are paid for; a budgets file that is wrong is told now, not at the first call. */
async function openDesk(
  config: Config,
  { log, database }: Pick<Ground, "log" | "database">,
): Promise<Pick<Ground, "budgets" | "desk">> {
  const budgets = budgetBook(config.budgetsFile);
  const read = await budgets.applyBudgets();
  if (!read.ok) throw new FailureError(read.failure);
  const desk = new SpendDesk({
    ledger: database.spend,
    settings: () => budgets.current,
    clock: systemClock,
    random: Math.random,
    defer: (run) => void setImmediate(run),
    onProblem: (problem) => log.warn({ problem }, "spending is not booked as it should be"),
  });
  return { budgets, desk };
}

async function furnish(config: Config, options: ComposeOptions, ground: Ground): Promise<House> {
  const { log, database } = ground;
  const gateway = await createModels(config, {
    clock: systemClock,
    random: Math.random,
    providers: options.providers ?? [],
    spend: ground.desk,
  });
  const expressions = createExpressions();
  const toolBox = createToolBox();
  const catalog: Pick<Library, "agents"> & { agents: Library["agents"] } = { agents: [] };
  const artifacts = createLocalArtifacts(join(config.dataDir, "artifacts"));
  const workspaces = gitWorkspaces({ dataDir: config.dataDir, clock: systemClock, environment: process.env });
  const contexts = createRepoContexts({
    cacheDir: join(config.dataDir, "cache"),
    environment: process.env,
    now: () => systemClock.now(),
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
      redact: redactorFor(config.env),
    },
    options.actions,
  );
  const definitions = createDefinitions({ actions, expressions, toolNames: toolBox.names });
  const library = await loadLibrary({
    definitions,
    ...(options.project === undefined ? {} : { project: options.project }),
  });
  catalog.agents = library.agents;
  const operations = operationsOf({ config, ground, artifacts, definitions, gateway, library });
  await saveWorkflows(database, library);
  const engine = engineOf({ ground, actions, artifacts, expressions, operations });
  const orphans = await reapOrphans(processes);
  if (orphans.orphans.length > 0)
    log.warn({ orphans: orphans.orphans }, "ended what a crashed server had left running");
  return houseOf({ config, ground, operations, actions, gateway, contexts, workspaces, engine, library });
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
  readonly gateway: ModelGateway;
  readonly library: Library;
}): Parts {
  const { store, reader, workflows } = of.ground.database;
  const agents = of.library.agents.map(({ value }) => value);
  const { intentModel: use } = of.config;
  return {
    clock: systemClock,
    newId: (prefix) => newId(prefix, Date.now(), Math.random),
    hash: sha256,
    store,
    reader,
    workflows,
    artifacts: of.artifacts,
    definitions: of.definitions,
    checkInputs,
    agents: async () => agents,
    gateway: of.gateway,
    live: createLive(),
    spend: { ledger: of.ground.database.spend, settings: () => of.ground.budgets.current },
    probes: [],
    ...(use === null ? {} : { intentJudge: modelJudge({ gateway: of.gateway, clock: systemClock, use }) }),
  };
}

/** A run is pinned to a hash, so every definition that can be started is in the store before anything starts. */
async function saveWorkflows(database: Database, library: Library): Promise<void> {
  for (const { value, source, origin } of library.workflows) {
    if ((await database.workflows.latest(value.name))?.workflow.hash === value.hash) continue;
    await database.workflows.save({ workflow: value, source, origin, savedAt: systemClock.now() });
  }
}

function engineOf(of: {
  readonly ground: Ground;
  readonly actions: Actions;
  readonly artifacts: EngineParts["artifacts"];
  readonly expressions: EngineParts["expressions"];
  readonly operations: Parts;
}): EngineParts {
  const { ground, operations } = of;
  return {
    store: ground.database.store,
    runs: ground.database.reader,
    workflows: ground.database.workflows,
    artifacts: of.artifacts,
    actions: of.actions,
    expressions: of.expressions,
    live: operations.live as EngineParts["live"],
    log: ground.log,
    clock: systemClock,
    random: Math.random,
    hash: sha256,
    defer: (run) => void setImmediate(run),
    prepareChild: (child, parent) => {
      const { tenant, queue, priority, deadlineAt } = parent;
      return prepareRun(operations, { ...child, tenant, queue, priority, deadlineAt });
    },
  };
}

function houseOf(of: {
  readonly config: Config;
  readonly ground: Ground;
  readonly operations: Parts;
  readonly actions: Actions;
  readonly gateway: ModelGateway;
  readonly contexts: RepoContexts;
  readonly workspaces: House["workspaces"];
  readonly engine: EngineParts;
  readonly library: Library;
}): House {
  const { config, ground, engine } = of;
  const info = {
    id: newId("wrk", Date.now(), Math.random),
    host: hostname(),
    pid: process.pid,
    processStart: processStart(process.pid),
    slots: config.slots,
  };
  const worker = new Worker(engine, info);
  const { reader } = of.operations;
  const collector = createCollector({
    clock: systemClock,
    log: ground.log,
    reader,
    workspaces: of.workspaces,
  });
  const accountant = createAccountant({
    clock: systemClock,
    log: ground.log,
    ledger: ground.database.spend,
    keepMs: () => ground.budgets.current.keepMs,
  });
  const services = [createRescuer(engine), createTimers(engine), collector, accountant];
  let closed = false;
  return {
    config,
    clock: systemClock,
    log: ground.log,
    operations: of.operations,
    actions: of.actions,
    gateway: of.gateway,
    contexts: of.contexts,
    workspaces: of.workspaces,
    worker,
    services,
    applyBudgets: () => ground.budgets.applyBudgets(),
    problems: of.library.diagnostics,
    async start() {
      await services[0]?.runOnce();
      for (const service of services) service.start();
      worker.start();
    },
    async close() {
      if (closed) return;
      closed = true;
      for (const service of services) await service.stop();
      await worker.stop(config.drainMs);
      await of.contexts.close();
      await ground.desk.flush();
      await ground.database.close();
    },
  };
}
