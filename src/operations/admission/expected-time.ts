import type { Clock } from "../../base/clock.ts";
import type { RunReader } from "../../contracts/run-store.ts";

/** Runs of a workflow that are looked at, and those of them that must have completed to say anything. */
const LOOKED_AT = 30;
const ENOUGH = 5;
const KEPT_MS = 10_000;
const MOST_WORKFLOWS = 1_000;

/** How long the latest runs of a workflow took from beginning to end: their median, looked up every few seconds. */
export class ExpectedTimes {
  readonly #parts: { readonly reader: Pick<RunReader, "runs">; readonly clock: Clock };
  readonly #known = new Map<string, { readonly at: number; readonly ms: Promise<number | null> }>();

  constructor(parts: { readonly reader: Pick<RunReader, "runs">; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** ms; `null` when too few have completed to say. */
  of(workflow: string): Promise<number | null> {
    const now = this.#parts.clock.now();
    const known = this.#known.get(workflow);
    if (known !== undefined && Math.abs(now - known.at) < KEPT_MS) return known.ms;
    const ms = this.#look(workflow);
    this.#known.delete(workflow);
    const oldest = this.#known.size >= MOST_WORKFLOWS ? this.#known.keys().next().value : undefined;
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(workflow, { at: now, ms });
    // A look that failed is not kept.
    ms.catch(() => this.#known.delete(workflow));
    return ms;
  }

  async #look(workflow: string): Promise<number | null> {
    const runs = await this.#parts.reader.runs({ filter: { workflow }, after: null, limit: LOOKED_AT });
    const took = runs.flatMap(({ status, startedAt, endedAt }) =>
      status === "completed" && startedAt !== null && endedAt !== null ? [endedAt - startedAt] : [],
    );
    if (took.length < ENOUGH) return null;
    took.sort((a, b) => a - b);
    return took[Math.floor(took.length / 2)] ?? null;
  }
}
