import type { ModelGateway, ModelHealthView, ModelView } from "../contracts/model-gateway.ts";
import { call } from "./call.ts";
import { buildHouse, type GatewayOptions, type House } from "./house.ts";
import { resolveTargets } from "./route.ts";

export type { GatewayOptions } from "./house.ts";

const MAX_HEALTH_MS = 5_000;
const STAGES = ["context", "retrieval", "plan", "execute", "review", "summarise"] as const;

/** A gateway whose settings can change under way. */
export interface SettableGateway extends ModelGateway {
  /** For calls that begin from now on; what is known of the models' health stays. */
  reconfigure(options: GatewayOptions): void;
}

export function createModelGateway(options: GatewayOptions): SettableGateway {
  let house = buildHouse(options);
  return {
    reconfigure: (next) => {
      const { spend } = house.options;
      house = buildHouse(spend === undefined ? next : { spend, ...next }, house);
    },
    call: (request, callOptions) => call(house, request, callOptions),
    resolve: (use, stage) => {
      const targets = resolveTargets(house.options, use, stage);
      if (!targets.ok) return targets;
      const [first] = targets.value as [(typeof targets.value)[number]];
      return { ok: true, provider: first.entry.provider.name, model: first.model };
    },
    providers: (signal) => listProviders(house, signal),
    models: () => listModels(house),
  };
}

async function listProviders(house: House, signal: AbortSignal): ReturnType<ModelGateway["providers"]> {
  const { options } = house;
  const chosen = resolveTargets(options, undefined, "execute");
  const defaults = chosen.ok ? chosen.value.map(({ entry }) => entry.provider.name) : [];
  const limit = new AbortController();
  const cancel = options.clock.after(MAX_HEALTH_MS, () => limit.abort());
  const both = AbortSignal.any([signal, limit.signal]);
  try {
    return await Promise.all(
      options.providers.map(async ({ provider }) => ({
        name: provider.name,
        health: await provider.health(both),
        models: await provider.models(both),
        isDefault: defaults[0] === provider.name,
        live: usedOf(house, provider.name),
      })),
    );
  } finally {
    cancel();
  }
}

function usedOf(house: House, provider: string): readonly ({ readonly model: string } & ModelHealthView)[] {
  const prefix = `${provider}/`;
  return house.health.names
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .flatMap((model) => {
      const health = house.health.known(provider, model);
      return health === null ? [] : [{ model, ...health.view() }];
    });
}

const UNUSED: ModelHealthView = {
  state: "unused",
  detail: "",
  ttftMs: null,
  ttftP95Ms: null,
  gapMs: null,
  errorRate: 0,
  inFlight: 0,
  concurrencyLimit: null,
  samples: 0,
  from: null,
};

/** What the catalogue knows, what is configured and what was used, each once. */
function listModels(house: House): readonly ModelView[] {
  const { options } = house;
  const stages = new Map<string, string[]>();
  for (const stage of STAGES) {
    const targets = resolveTargets(options, undefined, stage);
    for (const { entry, model } of targets.ok ? targets.value : []) {
      const name = `${entry.provider.name}/${model}`;
      stages.set(name, [...(stages.get(name) ?? []), stage]);
    }
  }
  const known = Object.keys(house.catalogue).filter((name) => !name.endsWith("*"));
  const names = [...new Set([...stages.keys(), ...house.health.names, ...known])];
  const configured = new Set(options.providers.map((entry) => entry.provider.name));
  return names.map((name) => {
    const slash = name.indexOf("/");
    const [provider, model] = [name.slice(0, slash), name.slice(slash + 1)];
    const { traits, price } = house.book.of(provider, model);
    const { tools, json, contextTokens, quality } = traits;
    return {
      provider,
      model,
      available: configured.has(provider),
      stages: stages.get(name) ?? [],
      tools,
      json,
      contextTokens,
      quality,
      price: price === null ? null : rates(price),
      health: house.health.known(provider, model)?.view() ?? UNUSED,
    };
  });
}

function rates({
  input,
  cacheRead,
  cacheWrite,
  output,
}: NonNullable<ModelView["price"]>): ModelView["price"] {
  return { input, cacheRead, cacheWrite, output };
}
