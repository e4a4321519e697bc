import type { FileFacts } from "./facts.ts";

/** A name defined in more files than this says nothing about which one is meant. */
const MAX_DEFINERS = 2;
/** Strongest references kept of one file. */
const MAX_EDGES_PER_FILE = 100;
/** How much a file draws those that use it, against those that it uses. */
const USERS_WEIGHT = 0.5;
const DAMPING = 0.6;
const ITERATIONS = 15;
const NAMED_IN_TASK_GAIN = 4;

interface Edges {
  readonly from: number[];
  readonly to: number[];
  readonly weight: number[];
}

/** Who uses whose definitions, over a bounded set of files. Nodes are numbered by the order in which they are added. */
export class ReferenceGraph {
  readonly #definers = new Map<number, number[]>();
  readonly #users = new Map<number, number>();
  readonly #references: { readonly name: number; readonly count: number }[][] = [];
  readonly #definitions: Uint32Array[] = [];

  /** First every file's definitions … */
  addDefinitions(facts: FileFacts): void {
    const node = this.#definitions.length;
    this.#definitions.push(facts.definitions.slice());
    for (const name of facts.definitions) {
      const definers = this.#definers.get(name);
      if (definers === undefined) this.#definers.set(name, [node]);
      else definers.push(node);
    }
  }

  /** … then, in the same order, every file's references. */
  addReferences(facts: FileFacts): void {
    const node = this.#references.length;
    const kept: { readonly name: number; readonly count: number }[] = [];
    facts.references.hashes.forEach((name, i) => {
      const definers = this.#definers.get(name);
      if (definers === undefined || definers.length > MAX_DEFINERS || definers.includes(node)) return;
      this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
      kept.push({ name, count: facts.references.counts[i] as number });
    });
    this.#references.push(kept);
  }

  /** How many files use a name that is defined in few. */
  usersOf(name: number): number {
    return this.#users.get(name) ?? 0;
  }

  /**
   * Personalised PageRank: what reaches each node from the seeds (weights by node, adding up to 1) along
   * references, beyond its own seed. `named` are names of the task.
   */
  rank(seeds: Float64Array, named: ReadonlySet<number>): Float64Array {
    const { from, to, weight } = this.#edges(named);
    const nodes = seeds.length;
    const outgoing = new Float64Array(nodes);
    from.forEach((node, edge) => {
      outgoing[node] = (outgoing[node] as number) + (weight[edge] as number);
    });
    let ranks = seeds.slice();
    let arrived = new Float64Array(nodes);
    for (let i = 0; i < ITERATIONS; i += 1) {
      arrived = new Float64Array(nodes);
      for (let edge = 0; edge < from.length; edge += 1) {
        const source = from[edge] as number;
        const target = to[edge] as number;
        const share = (weight[edge] as number) / (outgoing[source] as number);
        arrived[target] = (arrived[target] as number) + DAMPING * (ranks[source] as number) * share;
      }
      ranks = arrived.map((mass, node) => mass + (1 - DAMPING) * (seeds[node] as number));
    }
    return arrived;
  }

  #edges(named: ReadonlySet<number>): Edges {
    const edges: Edges = { from: [], to: [], weight: [] };
    const nodes = this.#references.length;
    this.#references.forEach((references, user) => {
      const weighed = references.map(({ name, count }) => ({
        name,
        weight: this.#weight(name, count, nodes, named),
      }));
      weighed.sort((a, b) => b.weight - a.weight || a.name - b.name);
      for (const { name, weight } of weighed.slice(0, MAX_EDGES_PER_FILE)) {
        for (const definer of this.#definers.get(name) ?? []) {
          edges.from.push(user, definer);
          edges.to.push(definer, user);
          edges.weight.push(weight, weight * USERS_WEIGHT);
        }
      }
    });
    return edges;
  }

  #weight(name: number, count: number, nodes: number, named: ReadonlySet<number>): number {
    const rarity = Math.log(1 + nodes / Math.max(1, this.usersOf(name)));
    const definers = this.#definers.get(name)?.length ?? 1;
    return (rarity * Math.sqrt(count) * (named.has(name) ? NAMED_IN_TASK_GAIN : 1)) / definers;
  }
}
