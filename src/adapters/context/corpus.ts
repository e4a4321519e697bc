import { countOf, type FileFacts } from "./facts.ts";
import { hashWord, identifiers, wordsOf } from "./words.ts";

/** The fields of a file in which words of the task are looked for. */
export interface FieldWeights {
  readonly body: number;
  readonly symbols: number;
  readonly name: number;
  readonly folders: number;
}

/** A word in the name of a file or of a definition says more than one somewhere in the text. */
export const ALL_FIELDS: FieldWeights = { body: 0.25, symbols: 0.6, name: 5, folders: 2 };
export const PATH_FIELDS: FieldWeights = { body: 0, symbols: 0, name: 5, folders: 3 };
const SATURATION = 1.2;
const BODY_LENGTH_PENALTY = 0.6;
const SYMBOL_LENGTH_PENALTY = 0.4;

/**
 * For every file how often it has each word of the task: all that lexical ranking needs, so that a file's facts
 * can be let go as soon as they were seen. Takes `files × words × 4` bytes.
 */
export class Corpus {
  readonly size: number;
  readonly lines: Uint32Array;
  readonly #terms: readonly number[];
  readonly #weights: readonly number[];
  readonly #body: Uint8Array;
  readonly #symbols: Uint8Array;
  readonly #name: Uint8Array;
  readonly #folders: Uint8Array;
  readonly #bodyTotal: Uint32Array;
  readonly #symbolTotal: Uint32Array;

  constructor(size: number, words: ReadonlyMap<number, number>) {
    this.size = size;
    this.#terms = [...words.keys()];
    this.#weights = [...words.values()];
    const cells = size * this.#terms.length;
    this.#body = new Uint8Array(cells);
    this.#symbols = new Uint8Array(cells);
    this.#name = new Uint8Array(cells);
    this.#folders = new Uint8Array(cells);
    this.#bodyTotal = new Uint32Array(size);
    this.#symbolTotal = new Uint32Array(size);
    this.lines = new Uint32Array(size);
  }

  addPath(file: number, path: string): void {
    const row = file * this.#terms.length;
    const cut = path.lastIndexOf("/") + 1;
    const name = pathWords(path.slice(cut));
    const folders = pathWords(path.slice(0, cut));
    this.#terms.forEach((term, i) => {
      this.#name[row + i] = name.has(term) ? 1 : 0;
      this.#folders[row + i] = folders.has(term) ? 1 : 0;
    });
  }

  addFacts(file: number, facts: FileFacts): void {
    const row = file * this.#terms.length;
    this.#terms.forEach((term, i) => {
      this.#body[row + i] = countOf(facts.words, term);
      this.#symbols[row + i] = countOf(facts.symbolWords, term);
    });
    this.#bodyTotal[file] = facts.wordTotal;
    this.#symbolTotal[file] = facts.symbolWords.hashes.length;
    this.lines[file] = facts.lines;
  }

  /** BM25F of every file for the words of the task; rare words weigh more, long files less. */
  lexicalScores(weights: FieldWeights): Float64Array {
    const scores = new Float64Array(this.size);
    const terms = this.#terms.length;
    const rarity = this.#rarity();
    const bodyMean = mean(this.#bodyTotal);
    const symbolMean = mean(this.#symbolTotal);
    for (let file = 0; file < this.size; file += 1) {
      const bodyNorm = lengthNorm(this.#bodyTotal[file] as number, bodyMean, BODY_LENGTH_PENALTY);
      const symbolNorm = lengthNorm(this.#symbolTotal[file] as number, symbolMean, SYMBOL_LENGTH_PENALTY);
      let score = 0;
      for (let i = 0; i < terms; i += 1) {
        const cell = file * terms + i;
        const frequency =
          (weights.body * (this.#body[cell] as number)) / bodyNorm +
          (weights.symbols * (this.#symbols[cell] as number)) / symbolNorm +
          weights.name * (this.#name[cell] as number) +
          weights.folders * (this.#folders[cell] as number);
        if (frequency > 0) {
          score +=
            ((this.#weights[i] as number) * (rarity[i] as number) * frequency) / (SATURATION + frequency);
        }
      }
      scores[file] = score;
    }
    return scores;
  }

  /** The words of the task with their weights, rare ones more; the weightiest is 1. */
  termWeights(): ReadonlyMap<number, number> {
    const rarity = this.#rarity();
    const weights = this.#terms.map((_, i) => (this.#weights[i] as number) * (rarity[i] as number));
    const top = Math.max(Number.MIN_VALUE, ...weights);
    return new Map(this.#terms.map((term, i) => [term, (weights[i] as number) / top]));
  }

  /** BM25's inverse document frequency of each word. */
  #rarity(): Float64Array {
    const terms = this.#terms.length;
    const having = new Float64Array(terms);
    for (let cell = 0; cell < this.#body.length; cell += 1) {
      if (this.#body[cell] || this.#symbols[cell] || this.#name[cell] || this.#folders[cell]) {
        having[cell % terms] = (having[cell % terms] as number) + 1;
      }
    }
    return having.map((files) => Math.log(1 + (this.size - files + 0.5) / (files + 0.5)));
  }
}

export function pathWords(path: string): ReadonlySet<number> {
  const words = new Set<number>();
  for (const name of identifiers(path)) for (const word of wordsOf(name)) words.add(hashWord(word));
  return words;
}

function mean(values: Uint32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return values.length === 0 ? 1 : Math.max(1, total / values.length);
}

function lengthNorm(length: number, average: number, penalty: number): number {
  return 1 - penalty + (penalty * length) / average;
}
