import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { type ModelsFile, NO_MODELS_FILE, parseModelsFile } from "../adapters/models/file/models-file.ts";
import { MODELS_FILE } from "../adapters/models/file/schema.ts";
import { parseScript } from "../adapters/models/script/parse.ts";
import { scriptedProvider } from "../adapters/models/scripted/provider.ts";
import {
  createProvider,
  howToConfigure,
  type ProviderSettings,
  providerSettingsFromEnv,
} from "../adapters/models/settings.ts";
import { genaiPrices } from "../adapters/prices/genai-prices.ts";
import type { Clock } from "../base/clock.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import { FailureError, fail, ok, type Result } from "../domain/errors.ts";
import type { Redactor } from "../domain/redact.ts";
import { createModelGateway, type GatewayOptions, type SettableGateway } from "../gateway/gateway.ts";
import type { HealthBook } from "../gateway/health-book.ts";
import type { ProviderEntry } from "../gateway/route.ts";
import type { SpendDesk } from "../gateway/spend.ts";
import { type Config, ROUTING_VARIABLES } from "./config.ts";
import type { Reloadable } from "./reload.ts";

export interface ModelParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly providers: readonly ModelProvider[];
  readonly redactor: Redactor;
  /** Absent: nothing is counted. */
  readonly spend?: SpendDesk;
  /** Where health is kept, when it is shared. */
  readonly health?: HealthBook;
}

/** Too few to tell which of many keys it was, enough to tell two apart. */
const ACCOUNT_DIGITS = 8;

/** The gateway over whatever the environment and the models file configure; the scripted model only when a script was named. */
export async function createModels(config: Config, parts: ModelParts): Promise<SettableGateway> {
  const options = await gatewayOptions(config, parts);
  if (!options.ok) throw new FailureError(options.failure);
  return createModelGateway(options.value);
}

/** New settings for calls that begin after a reload; keys of providers in the environment are read again, too. */
export function modelSettings(gateway: SettableGateway, parts: ModelParts): Reloadable {
  return {
    settings: ROUTING_VARIABLES,
    async prepare(config) {
      const options = await gatewayOptions(config, parts);
      return options.ok ? ok(() => gateway.reconfigure(options.value)) : options;
    },
  };
}

async function gatewayOptions(config: Config, parts: ModelParts): Promise<Result<GatewayOptions>> {
  const found = providerSettingsFromEnv(config.env);
  const problem = found.problems[0];
  if (problem) return { ok: false, failure: problem };
  const file = await readModelsFile(config);
  if (!file.ok) return file;
  const { value: written } = file;
  const configured = [...found.configured, ...written.providers];
  const entries: ProviderEntry[] = parts.providers.map((provider) => ({ provider, onlyWhenNamed: true }));
  for (const settings of configured) entries.push(entryOf(settings, parts.clock));
  if (config.script !== null) {
    const entry = await scripted(config.script, parts.clock);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  const byDefault = config.model ?? written.default;
  return ok({
    providers: entries,
    clock: parts.clock,
    random: parts.random,
    redactor: parts.redactor,
    howToConfigure: howToConfigure(found),
    stages: { ...written.stages, ...stageModels(config) },
    // What the environment says is nearer than a file.
    routing: { ...written.routing, ...config.routing },
    tenants: written.tenants,
    catalogue: written.catalogue,
    prices: written.prices,
    priceSource: genaiPrices({ baseUrls: baseUrlsOf(configured) }),
    ...(parts.spend !== undefined && { spend: parts.spend }),
    ...(parts.health !== undefined && { health: parts.health }),
    ...(byDefault !== undefined && { default: byDefault }),
  });
}

function entryOf(settings: ProviderSettings, clock: Clock): ProviderEntry {
  const { defaultModel, ...reached } = settings;
  const provider = createProvider(settings, { clock });
  const account = createHash("sha256").update(JSON.stringify(reached)).digest("hex").slice(0, ACCOUNT_DIGITS);
  return { provider, account, ...(defaultModel !== undefined && { defaultModel }) };
}

async function readModelsFile({ modelsFile: file, env }: Config): Promise<Result<ModelsFile>> {
  if (file === null) return ok(NO_MODELS_FILE);
  try {
    const { size } = await stat(file);
    if (size > MODELS_FILE.bytes) {
      return fail("invalid_config", `${file} has ${size} bytes; at most ${MODELS_FILE.bytes} are read`);
    }
    return parseModelsFile(await readFile(file, "utf8"), { file, env });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const what = `AGENT_RUNNER_MODELS is ${JSON.stringify(file)}, which cannot be read: ${why}`;
    return fail("invalid_config", what, { setting: "AGENT_RUNNER_MODELS" });
  }
}

/** What a mediator model is for, it does for every stage of that kind that has no model of its own. */
function stageModels({ mediatorModel, stageModels: own }: Config): Config["stageModels"] {
  return mediatorModel === null ? own : { summarise: mediatorModel, ...own };
}

function baseUrlsOf(configured: readonly ProviderSettings[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    configured.flatMap((one) => (one.kind === "openai-compatible" ? [[one.name, one.baseUrl]] : [])),
  );
}

async function scripted(path: string, clock: Clock): Promise<Result<ProviderEntry>> {
  let source: string;
  try {
    source = await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail("invalid_config", `the script ${path} cannot be read: ${why}`);
  }
  const script = parseScript(source, path);
  if (!script.ok) return script;
  const provider = scriptedProvider({ scripts: [script.value], clock });
  return ok({ provider, defaultModel: script.value.name, onlyWhenNamed: true });
}
