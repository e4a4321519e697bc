import type { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { PriceSource } from "../contracts/price-source.ts";
import type { Result } from "../domain/errors.ts";
import { createRedactor, type Redactor } from "../domain/redact.ts";
import {
  type PolicyName,
  type QualityTier,
  ROUTING_POLICIES,
  type RoutingPolicy,
  type Weights,
} from "../domain/routing.ts";
import { ModelBook } from "./book.ts";
import { CATALOGUE, type Catalogue, laidOver } from "./catalogue.ts";
import { Censor } from "./censor.ts";
import { HealthBook } from "./health-book.ts";
import { HedgeBudget } from "./hedge.ts";
import { PRICES, type PriceTable } from "./prices.ts";
import { type RoutingTable, resolveTargets, type Target } from "./route.ts";
import type { SpendDesk } from "./spend.ts";

/** How hard one call is tried before its failure is the answer. */
export interface CallPolicy {
  /** Over all candidates, hedges included. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** All attempts and the waits between them, in ms. */
  readonly totalMs: number;
}

const DEFAULT_CALL_POLICY: CallPolicy = {
  maxAttempts: 4,
  backoff: { initialMs: 1_000, factor: 2, maxMs: 30_000 },
  totalMs: 900_000,
};

const DEFAULT_POLICY: PolicyName = "quality-first";
const DEFAULT_EXPLORE = 0.03;

/** How a model is chosen among several; with one candidate only the constraints matter. */
export interface RoutingSettings {
  /** By name or by weights of one's own; `quality-first` when absent. */
  readonly policy?: PolicyName | Weights;
  /** Share of calls, 0 to 1; the policy's own when absent. */
  readonly explore?: number;
  /** Patterns: `provider/model`, `provider/*`. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly minQuality?: QualityTier;
  /** Whether a model without a known price may be used; `allow` when absent. */
  readonly unknownPrice?: "allow" | "deny";
  /** A second attempt beside a late first one; when absent, under `latency-first` only. */
  readonly hedge?: boolean;
  /** Only models of these; one whose region is unknown is then not used. Absent or empty: any. */
  readonly regions?: readonly string[];
  /** An answer that broke off is begun anew or given up (`terminate`, when absent), or the model is asked to go on. */
  readonly afterContent?: "terminate" | "continue";
  /** Beside `allow`: a model must be on both. */
  readonly tenantAllow?: readonly string[];
}

/** What is further asked of calls that a tenant pays for. It can only be stricter; the policy is the tenant's own. */
export type TenantRouting = Pick<RoutingSettings, "policy" | "allow" | "deny" | "minQuality" | "regions">;

export interface GatewayOptions extends RoutingTable {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly policy?: Partial<CallPolicy>;
  readonly routing?: RoutingSettings;
  readonly tenants?: Readonly<Record<string, TenantRouting>>;
  /** Reserves and books what calls cost; without one nothing is counted. */
  readonly spend?: SpendDesk;
  /** Go before the price source. */
  readonly prices?: PriceTable;
  /** A maintained price list; without one only `prices` are known. */
  readonly priceSource?: PriceSource;
  /** Takes secrets out of every prompt; without one only what vendors' secrets look like. */
  readonly redactor?: Redactor;
  /** Laid over the built-in catalogue, model by model. */
  readonly catalogue?: Catalogue;
  /** Where health is kept, for somebody who shares it; of its own when absent. */
  readonly health?: HealthBook;
}

/** What a call is judged by. Replaced as a whole when settings change; health and hedge budget are handed on. */
export interface House {
  readonly options: GatewayOptions;
  readonly policy: CallPolicy;
  readonly routing: RoutingSettings;
  readonly book: ModelBook;
  readonly censor: Censor;
  readonly catalogue: Catalogue;
  readonly health: HealthBook;
  readonly hedges: HedgeBudget;
  /** What `use` and stages were found to mean. */
  readonly targets: Map<string, Result<readonly Target[]>>;
}

/** Names that are remembered; they come from requests, so beyond that all are read anew. */
const MAX_TARGETS = 1_000;

export function buildHouse(options: GatewayOptions, before?: House): House {
  const { clock, random } = options;
  const now = () => clock.now();
  const catalogue = laidOver(CATALOGUE, options.catalogue ?? {});
  const prices = { ...PRICES, ...options.prices };
  const health = before?.health ?? options.health ?? new HealthBook({ now, random });
  health.useAccounts(new Map(options.providers.map((one) => [one.provider.name, one.account ?? ""])));
  return {
    options,
    policy: { ...DEFAULT_CALL_POLICY, ...options.policy },
    routing: options.routing ?? {},
    book: new ModelBook({ catalogue, prices, source: options.priceSource, now }),
    censor: new Censor(options.redactor ?? createRedactor([])),
    catalogue,
    health,
    hedges: before?.hedges ?? new HedgeBudget(),
    targets: new Map(),
  };
}

/** As `resolveTargets`, but each list of names is taken apart once. */
export function targetsOf(
  { options, targets }: House,
  use: string | undefined,
  stage: string,
): Result<readonly Target[]> {
  const key = use === undefined ? `stage ${stage}` : `use ${use}`;
  const known = targets.get(key);
  if (known !== undefined) return known;
  if (targets.size >= MAX_TARGETS) targets.clear();
  const made = resolveTargets(options, use, stage);
  targets.set(key, made);
  return made;
}

/** The house as it is for a tenant's call. */
export function houseFor(house: House, tenant: string | null | undefined): House {
  const own = tenant == null ? undefined : house.options.tenants?.[tenant];
  if (own === undefined) return house;
  const { routing } = house;
  const { policy = routing.policy, allow, deny = [], minQuality = 1, regions } = own;
  const merged: RoutingSettings = {
    ...routing,
    deny: [...(routing.deny ?? []), ...deny],
    minQuality: Math.max(routing.minQuality ?? 1, minQuality) as QualityTier,
    ...(policy !== undefined && { policy }),
    ...(allow !== undefined && { tenantAllow: allow }),
    ...(regions !== undefined && { regions: both(routing.regions, regions) }),
  };
  return { ...house, routing: merged };
}

/** Nothing in common is a wish that no model can fulfil, not a wish for any. */
function both(house: readonly string[] | undefined, tenant: readonly string[]): readonly string[] {
  if (house === undefined || house.length === 0) return tenant;
  const common = house.filter((region) => tenant.includes(region));
  return common.length === 0 ? ["(none in common)"] : common;
}

export function policyOf(routing: RoutingSettings, asked: PolicyName | undefined): RoutingPolicy {
  const wanted = asked ?? routing.policy ?? DEFAULT_POLICY;
  const policy: RoutingPolicy =
    typeof wanted === "string"
      ? ROUTING_POLICIES[wanted]
      : { name: "custom", weights: wanted, explore: DEFAULT_EXPLORE };
  return routing.explore === undefined ? policy : { ...policy, explore: routing.explore };
}

export function mayHedge(routing: RoutingSettings, policy: RoutingPolicy): boolean {
  return routing.hedge ?? policy.name === "latency-first";
}
