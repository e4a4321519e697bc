import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import { nearest } from "../../../base/text.ts";
import type { Price } from "../../../contracts/price-source.ts";
import { fail, ok, type Result } from "../../../domain/errors.ts";
import type { PolicyName, QualityTier, Weights } from "../../../domain/routing.ts";
import type { ProviderSettings } from "../settings.ts";
import { knownKeys, MODELS_FILE, modelsSchema, type WrittenModels, type WrittenPrice } from "./schema.ts";

/** What is known of a model beside its price, as far as the file says. */
export interface ModelNotes {
  readonly tools?: boolean;
  readonly json?: boolean;
  readonly contextTokens?: number;
  readonly quality?: QualityTier;
  readonly qualityByStage?: Readonly<Record<string, QualityTier>>;
  readonly slowStartMs?: number;
  readonly region?: string;
}

interface Rules {
  readonly policy?: PolicyName | Weights;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly minQuality?: QualityTier;
  readonly regions?: readonly string[];
}

/** A models file, read. */
export interface ModelsFile {
  readonly default?: string;
  readonly stages: Readonly<Record<string, string>>;
  readonly routing: Rules & {
    readonly explore?: number;
    readonly unknownPrice?: "allow" | "deny";
    readonly hedge?: boolean;
    readonly afterContent?: "terminate" | "continue";
  };
  readonly tenants: Readonly<Record<string, Rules>>;
  readonly providers: readonly ProviderSettings[];
  /** By `provider/model` or `provider/*`. */
  readonly catalogue: Readonly<Record<string, ModelNotes>>;
  readonly prices: Readonly<Record<string, Price>>;
}

type Path = readonly (string | number)[];
interface Issue {
  readonly path: Path;
  readonly message: string;
  /** Whether the key itself is meant, not its value. */
  readonly key?: boolean;
}

/** More mistakes than anybody corrects at once. */
const ISSUES_TOLD = 10;
const ALIASES = 20;
const MICROS = 1_000_000;
const OWN_PROVIDERS = ["anthropic", "google", "openai", "ollama", "scripted"];

export const NO_MODELS_FILE: ModelsFile = {
  stages: {},
  routing: {},
  tenants: {},
  providers: [],
  catalogue: {},
  prices: {},
};

/** `file` is how it is called. Fails with `invalid_config` and every mistake's line and column. */
export function parseModelsFile(
  source: string,
  of: { readonly file: string; readonly env: Readonly<Record<string, string | undefined>> },
): Result<ModelsFile> {
  const { file, env } = of;
  if (Buffer.byteLength(source) > MODELS_FILE.bytes) {
    return fail("invalid_config", `${file} has more than ${MODELS_FILE.bytes} bytes`);
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    const message = broken.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "");
    return fail("invalid_config", `${file}:${line}:${col}: ${message}`);
  }
  const read = plainOf(document);
  if (!read.ok) return fail("invalid_config", `${file}:1:1: ${read.message}`);
  const parsed = modelsSchema.safeParse(read.value ?? {});
  const issues = parsed.success ? further(parsed.data, env) : parsed.error.issues.flatMap(issuesOf);
  if (parsed.success && issues.length === 0) return ok(modelsOf(parsed.data, env));
  const told = issues.slice(0, ISSUES_TOLD).map((issue) => {
    const { line, column } = place(document.contents, issue, lines);
    const path = issue.path.join(".");
    return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${issue.message}`;
  });
  return fail("invalid_config", told.join("\n"), { setting: "AGENT_RUNNER_MODELS", file });
}

function plainOf(
  document: ReturnType<typeof parseDocument>,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string } {
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: ALIASES }) };
  } catch (error) {
    // Aliases that grow without end, or name nothing.
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** What the schema cannot say. */
function further(written: WrittenModels, env: Readonly<Record<string, string | undefined>>): Issue[] {
  const issues: Issue[] = [];
  for (const part of ["providers", "models", "tenants"] as const) {
    if (Object.keys(written[part] ?? {}).length > MODELS_FILE[part])
      issues.push({ path: [part], message: `there are more than ${MODELS_FILE[part]}` });
  }
  for (const [name, { api_key_env: variable }] of Object.entries(written.providers ?? {})) {
    const path = ["providers", name];
    if (OWN_PROVIDERS.includes(name)) {
      const message = `"${name}" is built in and configured by its own variables; take another name`;
      issues.push({ path, key: true, message });
    } else if (!/^[a-z][a-z0-9_-]{0,39}$/.test(name)) {
      const message = `${JSON.stringify(name)} is no name of a provider: a-z, 0-9, - and _, a letter first`;
      issues.push({ path, key: true, message });
    }
    if (variable !== undefined && !env[variable]?.trim()) {
      const message = `${variable} is not set; set it, or leave api_key_env out where no key is wanted`;
      issues.push({ path: [...path, "api_key_env"], message });
    }
  }
  for (const name of Object.keys(written.models ?? {})) {
    if (/^[^/\s*]+\/([^\s*]+|\*)$/.test(name)) continue;
    const message = `${JSON.stringify(name)} names no model; write provider/model, or provider/* for all of one`;
    issues.push({ path: ["models", name], key: true, message });
  }
  return issues;
}

function modelsOf(written: WrittenModels, env: Readonly<Record<string, string | undefined>>): ModelsFile {
  const providers = Object.entries(written.providers ?? {});
  const models = Object.entries(written.models ?? {});
  const { routing = {} } = written;
  const ofProviders = providers.flatMap(([name, { region }]) =>
    region === undefined ? [] : [[`${name}/*`, { region }] as const],
  );
  return {
    ...(written.default !== undefined && { default: written.default }),
    stages: written.stages ?? {},
    routing: {
      ...rulesOf(routing),
      ...(routing.explore !== undefined && { explore: routing.explore }),
      ...(routing.unknown_price !== undefined && { unknownPrice: routing.unknown_price }),
      ...(routing.hedge !== undefined && { hedge: routing.hedge }),
      ...(routing.after_content !== undefined && { afterContent: routing.after_content }),
    },
    tenants: Object.fromEntries(
      Object.entries(written.tenants ?? {}).map(([name, rules]) => [name, rulesOf(rules)]),
    ),
    providers: providers.map(([name, settings]) => providerOf(name, settings, env)),
    catalogue: Object.fromEntries([
      ...ofProviders,
      ...models.map(([name, notes]) => [name, notesOf(notes, written.providers?.[name.split("/")[0] ?? ""])]),
    ]),
    prices: Object.fromEntries(
      models.flatMap(([name, { price }]) => (price === undefined ? [] : [[name, priceOf(price)]])),
    ),
  };
}

type WrittenRules = NonNullable<WrittenModels["tenants"]>[string];

function rulesOf({ policy, allow, deny, min_quality, regions }: WrittenRules): Rules {
  return {
    ...(policy !== undefined && { policy }),
    ...(allow !== undefined && { allow }),
    ...(deny !== undefined && { deny }),
    ...(min_quality !== undefined && { minQuality: min_quality }),
    ...(regions !== undefined && { regions }),
  };
}

type WrittenProvider = NonNullable<WrittenModels["providers"]>[string];

function providerOf(
  name: string,
  written: WrittenProvider,
  env: Readonly<Record<string, string | undefined>>,
): ProviderSettings {
  const { base_url: baseUrl, api_key_env: variable, default_model, headers, json_schema } = written;
  const apiKey = variable === undefined ? undefined : env[variable]?.trim();
  return {
    kind: "openai-compatible",
    name,
    baseUrl,
    ...(apiKey !== undefined && { apiKey }),
    ...(default_model !== undefined && { defaultModel: default_model }),
    ...(headers !== undefined && { headers }),
    ...(json_schema !== undefined && { jsonSchema: json_schema }),
  };
}

type WrittenModel = NonNullable<WrittenModels["models"]>[string];

function notesOf(written: WrittenModel, provider: WrittenProvider | undefined): ModelNotes {
  const { tools, json, context_tokens, quality, quality_by_stage, slow_start } = written;
  const region = written.region ?? provider?.region;
  return {
    ...(tools !== undefined && { tools }),
    ...(json !== undefined && { json }),
    ...(context_tokens !== undefined && { contextTokens: context_tokens }),
    ...(quality !== undefined && { quality }),
    ...(quality_by_stage !== undefined && { qualityByStage: quality_by_stage }),
    ...(slow_start !== undefined && { slowStartMs: slow_start }),
    ...(region !== undefined && { region }),
  };
}

function priceOf(written: WrittenPrice): Price {
  if (written === "free") return { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };
  const { tiers } = written;
  if (tiers === undefined) return ratesOf(written);
  const sorted = tiers.toSorted((a, b) => a.above_tokens - b.above_tokens);
  return {
    ...ratesOf(written),
    tiers: sorted.map((one) => ({ aboveTokens: one.above_tokens, ...ratesOf(one) })),
  };
}

type WrittenRates = Pick<Exclude<WrittenPrice, "free">, "input" | "cache_read" | "cache_write" | "output">;

/** Without a rate of their own, cached tokens cost what any input costs. */
function ratesOf({ input, cache_read = input, cache_write = input, output }: WrittenRates) {
  const micros = (dollars: number) => Math.round(dollars * MICROS);
  return {
    input: micros(input),
    cacheRead: micros(cache_read),
    cacheWrite: micros(cache_write),
    output: micros(output),
  };
}

function issuesOf(issue: z.core.$ZodIssue): Issue[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  if (issue.code === "invalid_key") {
    return [unknownKey(path.slice(0, -1), String(path.at(-1)))];
  }
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  return issue.keys.map((key) => unknownKey(path, key));
}

function unknownKey(path: Path, key: string): Issue {
  const known = knownKeys(path);
  const meant = nearest(key, known);
  const hint = meant === null ? `the keys are ${known.join(", ")}` : `did you mean "${meant}"?`;
  return { path: [...path, key], key: true, message: `unknown key "${key}"; ${hint}` };
}

/** Where the mistake is written; of something that is missing, where it should stand. */
function place(root: unknown, issue: Issue, lines: LineCounter): { line: number; column: number } {
  let node = root;
  for (const [index, part] of issue.path.entries()) {
    const wantsKey = issue.key === true && index === issue.path.length - 1;
    const pair = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
      : undefined;
    const item = isSeq(node) && typeof part === "number" ? node.items[part] : undefined;
    const next = item ?? (wantsKey ? pair?.key : pair?.value);
    if (next === undefined || next === null) break;
    node = next;
  }
  const { line, col } = lines.linePos((node as Node | null)?.range?.[0] ?? 0);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
