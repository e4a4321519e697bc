import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { Dialect } from "./dialect.ts";
import type { Wire } from "./wire.ts";

/** Names come from requests: beyond that all are built anew. */
const MAX_MODELS = 200;

/**
 * The SDK's models by name. To build one anew for every call is to build its schemas anew: a millisecond, and garbage
 * that stops every stream of the process. What is a call's own reaches its wire by the call's signal.
 */
export class SdkModels {
  readonly #dialect: Dialect;
  readonly #models = new Map<string, Promise<LanguageModelV4>>();
  readonly #wires = new WeakMap<AbortSignal, Wire>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** The model, whose request goes over `wire` when it is sent with `signal`: each call has one of its own. */
  of(name: string, signal: AbortSignal, wire: Wire): Promise<LanguageModelV4> {
    this.#wires.set(signal, wire);
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    if (this.#models.size >= MAX_MODELS) this.#models.clear();
    const made = this.#dialect.model(name, this.#fetch);
    this.#models.set(name, made);
    made.catch(() => this.#models.delete(name));
    return made;
  }

  readonly #fetch: typeof globalThis.fetch = async (input, init) => {
    const wire = init?.signal ? this.#wires.get(init.signal) : undefined;
    if (wire === undefined) throw new Error("the SDK sent a request that belongs to no call");
    return wire.fetch(input, init);
  };
}
