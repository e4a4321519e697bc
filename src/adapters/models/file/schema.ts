import { z } from "zod";
import { parseDuration } from "../../../base/duration.ts";
import { POLICY_NAMES, type QualityTier } from "../../../domain/routing.ts";

export const MODELS_FILE = {
  bytes: 262_144,
  providers: 50,
  models: 1_000,
  tenants: 1_000,
  /** US dollars per million tokens: more is a slip of a decimal point. */
  dearest: 10_000,
  largestWindow: 100_000_000,
} as const;

const STAGE_NAMES = ["context", "retrieval", "plan", "execute", "review", "summarise"] as const;

const map = (what: string) => ({ error: `${what} is a map` });
const modelList = z
  .string()
  .regex(
    /^\s*[^/\s,]+\/[^\s,]+(\s*,\s*[^/\s,]+\/[^\s,]+)*\s*$/,
    "expected provider/model, or several separated by commas",
  );
const pattern = z
  .string()
  .regex(/^[^/\s*]+\/([^\s*]+\*?|\*)$/, "expected a pattern such as anthropic/* or openai/gpt-5.5");
const patterns = z.array(pattern).max(200);
const region = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "expected a word of a-z, 0-9 and - such as eu or us-east");
const TIERS = "expected a tier from 1 (small) to 4 (the best there is)";
const tier = z
  .int(TIERS)
  .min(1, TIERS)
  .max(4, TIERS)
  .transform((n) => n as QualityTier);
const weight = z.number().min(0).max(1_000);
const policy = z.union(
  [z.enum(POLICY_NAMES), z.strictObject({ quality: weight, latency: weight, cost: weight })],
  { error: `expected ${POLICY_NAMES.join(", ")} or weights {quality, latency, cost}` },
);
const usd = z.number().min(0).max(MODELS_FILE.dearest);
const rates = {
  input: usd,
  cache_read: usd.optional(),
  cache_write: usd.optional(),
  output: usd,
};
const tokens = z.int().min(1).max(MODELS_FILE.largestWindow);
const price = z.union(
  [
    z.literal("free"),
    z.strictObject({
      ...rates,
      tiers: z
        .array(z.strictObject({ above_tokens: tokens, ...rates }))
        .max(10)
        .optional(),
    }),
  ],
  { error: "expected free, or {input, output} in US dollars per million tokens" },
);
const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  context.addIssue({ code: "custom", message: 'expected a duration such as "30s" or "5m"' });
  return z.NEVER;
});
const url = z.string().refine((text) => {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}, "expected an http(s) URL, with its version: https://host/v1");

const provider = z.strictObject(
  {
    kind: z.literal("openai-compatible").optional(),
    base_url: url,
    /** The name of a variable, so that no key stands in the file; by its name its value is kept out of prompts. */
    api_key_env: z
      .string()
      .regex(
        /^(?=.*(?:KEY|TOKEN|SECRET))[A-Z_][A-Z0-9_]{0,99}$/,
        "expected the name of a variable, with KEY, TOKEN or SECRET in it, such as OPENROUTER_API_KEY",
      )
      .optional(),
    default_model: z.string().min(1).optional(),
    headers: z.record(z.string(), z.string()).optional(),
    json_schema: z.boolean().optional(),
    region: region.optional(),
  },
  map("a provider"),
);
const model = z.strictObject(
  {
    tools: z.boolean().optional(),
    json: z.boolean().optional(),
    context_tokens: tokens.optional(),
    quality: tier.optional(),
    quality_by_stage: z.partialRecord(z.enum(STAGE_NAMES), tier).optional(),
    slow_start: duration.optional(),
    region: region.optional(),
    price: price.optional(),
  },
  map("a model"),
);
const routing = z.strictObject(
  {
    policy: policy.optional(),
    explore: z.number().min(0).max(1).optional(),
    allow: patterns.optional(),
    deny: patterns.optional(),
    min_quality: tier.optional(),
    unknown_price: z.enum(["allow", "deny"]).optional(),
    hedge: z.boolean().optional(),
    regions: z.array(region).max(50).optional(),
    after_content: z.enum(["terminate", "continue"]).optional(),
  },
  map("routing"),
);
const tenant = z.strictObject(
  {
    policy: policy.optional(),
    allow: patterns.optional(),
    deny: patterns.optional(),
    min_quality: tier.optional(),
    regions: z.array(region).max(50).optional(),
  },
  map("a tenant"),
);

export const modelsSchema = z.strictObject(
  {
    default: modelList.optional(),
    stages: z.partialRecord(z.enum(STAGE_NAMES), modelList).optional(),
    routing: routing.optional(),
    tenants: z.record(z.string(), tenant).optional(),
    providers: z.record(z.string(), provider).optional(),
    models: z.record(z.string(), model).optional(),
  },
  map("a models file"),
);
export type WrittenModels = z.output<typeof modelsSchema>;
export type WrittenPrice = z.output<typeof price>;

const KEYS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(modelsSchema.shape),
  stages: STAGE_NAMES,
  routing: Object.keys(routing.shape),
  "tenants.*": Object.keys(tenant.shape),
  "providers.*": Object.keys(provider.shape),
  "models.*": Object.keys(model.shape),
};

/** The keys that may stand at a place, for "did you mean". */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  const [top = "", name] = path.map(String);
  return KEYS[name === undefined ? top : `${top}.*`] ?? [];
}
