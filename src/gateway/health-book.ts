import type { SharedHealth } from "../domain/shared-health.ts";
import { type HealthParts, ModelHealth, type Sharing } from "./health.ts";

/** Models remembered; those used longest ago give way. */
const MAX_MODELS = 500;

/** Health by `provider/model`, bounded. */
export class HealthBook {
  readonly #parts: HealthParts;
  readonly #models = new Map<string, ModelHealth>();
  #accounts: ReadonlyMap<string, string> = new Map();
  #sharing: Sharing | null = null;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  of(provider: string, model: string): ModelHealth {
    const key = `${provider}/${model}`;
    const known = this.#models.get(key);
    if (known !== undefined) return known;
    if (this.#models.size >= MAX_MODELS) this.#forgetOne();
    const made = new ModelHealth(this.#parts, { provider, model, sharing: () => this.#sharing });
    this.#models.set(key, made);
    return made;
  }

  /** Of a model that was used before; `null` for any other. */
  known(provider: string, model: string): ModelHealth | null {
    return this.#models.get(`${provider}/${model}`) ?? null;
  }

  get names(): readonly string[] {
    return [...this.#models.keys()];
  }

  get all(): readonly ModelHealth[] {
    return [...this.#models.values()];
  }

  /** From now on everything is told to `sharing`; `null` ends that. */
  share(sharing: Sharing | null): void {
    this.#sharing = sharing;
  }

  /** By provider. What was known under another key or address is forgotten. */
  useAccounts(accounts: ReadonlyMap<string, string>): void {
    for (const [key, { provider }] of this.#models) {
      const before = this.#accounts.get(provider);
      if (before !== undefined && accounts.has(provider) && before !== accounts.get(provider))
        this.#models.delete(key);
    }
    this.#accounts = accounts;
  }

  accountOf(provider: string): string {
    return this.#accounts.get(provider) ?? "";
  }

  /** `null` for a model that this process cannot reach, or reaches under another account. */
  ofShared({ model: name, account }: SharedHealth): ModelHealth | null {
    const slash = name.indexOf("/");
    const provider = name.slice(0, slash);
    return this.#accounts.get(provider) === account ? this.of(provider, name.slice(slash + 1)) : null;
  }

  #forgetOne(): void {
    const idle = [...this.#models].filter(([, health]) => health.inFlight === 0);
    const oldest = idle.toSorted(([, a], [, b]) => a.usedAt - b.usedAt)[0];
    if (oldest !== undefined) this.#models.delete(oldest[0]);
  }
}
