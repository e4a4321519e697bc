import { nearest } from "../base/text.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import { fail, ok, type Result } from "../domain/errors.ts";

/** One provider as the gateway may use it. */
export interface ProviderEntry {
  readonly provider: ModelProvider;
  /** Used when a request names the provider alone, and when it names nothing and nothing else is the default. */
  readonly defaultModel?: string;
  /** Never chosen unless a request, a stage or the configured default names it: the scripted model. */
  readonly onlyWhenNamed?: boolean;
  /** Differs where key or address do, and says nothing of them: what is known of a model's health holds for one account. */
  readonly account?: string;
}

export interface RoutingTable {
  /** In order of preference: the first with a default model is the default of all. */
  readonly providers: readonly ProviderEntry[];
  /** `provider/model` for requests that name nothing; several candidates are separated by commas. */
  readonly default?: string;
  /** The same by stage, before the default. */
  readonly stages?: Readonly<Record<string, string>>;
  /** Says which settings would configure a provider; shown when none is. */
  readonly howToConfigure: string;
}

export interface Target {
  readonly entry: ProviderEntry;
  readonly model: string;
}

/** More candidates are a mistake, not a choice. */
const MAX_CANDIDATES = 16;

/** Who may answer: those asked for, else the stage's, else the default. Never empty. Fails with `model_unknown`. */
export function resolveTargets(
  table: RoutingTable,
  use: string | undefined,
  stage: string,
): Result<readonly Target[]> {
  if (use !== undefined) return allNamed(table, use, "");
  const ofStage = table.stages?.[stage];
  if (ofStage !== undefined) return allNamed(table, ofStage, ` (the model of the stage "${stage}")`);
  if (table.default !== undefined) return allNamed(table, table.default, " (the configured default model)");
  for (const entry of table.providers) {
    if (entry.onlyWhenNamed !== true && entry.defaultModel !== undefined) {
      return ok([{ entry, model: entry.defaultModel }]);
    }
  }
  const real = table.providers.filter((entry) => entry.onlyWhenNamed !== true);
  if (real.length === 0)
    return fail("model_unknown", `no model provider is configured: ${table.howToConfigure}`);
  const names = real.map((entry) => entry.provider.name).join(", ");
  return fail(
    "model_unknown",
    `no default model is set: name one as \`provider/model\` (configured: ${names})`,
  );
}

/** Every name must be of a configured provider: a list of which half is silently left out survives no outage. */
function allNamed(table: RoutingTable, list: string, origin: string): Result<readonly Target[]> {
  const targets: Target[] = [];
  const uses = list.split(",").map((use) => use.trim());
  if (uses.length > MAX_CANDIDATES) {
    return fail(
      "model_unknown",
      `"${list}"${origin} names ${uses.length} models, at most ${MAX_CANDIDATES} are allowed`,
    );
  }
  for (const use of uses) {
    const target = named(table, use, origin);
    if (!target.ok) return target;
    const { entry, model } = target.value;
    if (!targets.some((other) => other.entry === entry && other.model === model)) targets.push(target.value);
  }
  return ok(targets);
}

function named(table: RoutingTable, use: string, origin: string): Result<Target> {
  const slash = use.indexOf("/");
  const provider = slash < 0 ? use : use.slice(0, slash);
  const model = slash < 0 ? "" : use.slice(slash + 1);
  const entry = table.providers.find((known) => known.provider.name === provider);
  if (entry === undefined) return fail("model_unknown", unknown({ table, use, provider, origin }));
  if (model !== "") return ok({ entry, model });
  if (entry.defaultModel !== undefined) return ok({ entry, model: entry.defaultModel });
  return fail("model_unknown", `"${use}"${origin} names no model: write \`${provider}/<model>\``);
}

function unknown(asked: {
  readonly table: RoutingTable;
  readonly use: string;
  readonly provider: string;
  readonly origin: string;
}): string {
  const { table, use, provider, origin } = asked;
  const names = table.providers.map((entry) => entry.provider.name);
  const near = nearest(provider, names);
  const hint = near === null ? "" : `; did you mean "${near}/${use.slice(provider.length + 1)}"?`;
  const known =
    names.length === 0
      ? `no model provider is configured: ${table.howToConfigure}`
      : `configured providers: ${names.join(", ")}`;
  return `"${use}"${origin}: no provider is named "${provider}"${hint} (${known})`;
}
