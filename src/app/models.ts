import { readFile } from "node:fs/promises";
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
import type { ModelGateway } from "../contracts/model-gateway.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import { FailureError, failure } from "../domain/errors.ts";
import type { Redactor } from "../domain/redact.ts";
import { createModelGateway } from "../gateway/gateway.ts";
import type { ProviderEntry } from "../gateway/route.ts";
import type { SpendDesk } from "../gateway/spend.ts";
import type { Config } from "./config.ts";

/** The gateway over whatever the environment configures; the scripted model only when a script was named. */
export async function createModels(
  config: Config,
  parts: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly providers: readonly ModelProvider[];
    /** Absent: nothing is counted. */
    readonly spend?: SpendDesk;
    readonly redactor: Redactor;
  },
): Promise<ModelGateway> {
  const found = providerSettingsFromEnv(config.env);
  const problem = found.problems[0];
  if (problem) throw new FailureError(problem);
  const entries: ProviderEntry[] = parts.providers.map((provider) => ({ provider, onlyWhenNamed: true }));
  for (const settings of found.configured) {
    const { defaultModel } = settings;
    const provider = createProvider(settings, { clock: parts.clock });
    entries.push(defaultModel === undefined ? { provider } : { provider, defaultModel });
  }
  if (config.script !== null) entries.push(await scripted(config.script, parts.clock));
  return createModelGateway({
    providers: entries,
    clock: parts.clock,
    random: parts.random,
    redactor: parts.redactor,
    howToConfigure: howToConfigure(found),
    stages: stageModels(config),
    routing: config.routing,
    ...(parts.spend === undefined ? {} : { spend: parts.spend }),
    priceSource: genaiPrices({ baseUrls: baseUrlsOf(found.configured) }),
    ...(config.model === null ? {} : { default: config.model }),
  });
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

async function scripted(path: string, clock: Clock): Promise<ProviderEntry> {
  const source = await readFile(path, "utf8").catch((error: Error) => {
    throw new FailureError(failure("invalid_config", `the script ${path} cannot be read: ${error.message}`));
  });
  const script = parseScript(source, path);
  if (!script.ok) throw new FailureError(script.failure);
  const provider = scriptedProvider({ scripts: [script.value], clock });
  return { provider, defaultModel: script.value.name, onlyWhenNamed: true };
}
