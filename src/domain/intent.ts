import type { JsonObject } from "../base/json.ts";
import { foreignInputs, inputsFrom, missingInputs, type ReadText, readText } from "./intent-inputs.ts";
import { wordsOf } from "./words.ts";

/** Something that a request may turn out to be for. */
export interface IntentCandidate {
  readonly kind: "workflow" | "agent";
  readonly name: string;
  readonly description: string;
  /** Requests as people would write them. */
  readonly examples: readonly string[];
  /** Further words that speak for it. */
  readonly keywords: readonly string[];
  /** JSON Schema of its inputs. */
  readonly inputs: JsonObject;
}

export interface ScoredCandidate {
  readonly kind: IntentCandidate["kind"];
  readonly name: string;
  /** 0 (nothing speaks for it) up to 1. */
  readonly score: number;
  /** Why, for people: words that it shares with the request, the example it is like, what it lacks. */
  readonly reasons: readonly string[];
}

export interface IntentDecision {
  /** `ambiguous`: several may be meant, or one is not sure enough; `none`: nothing speaks for any. */
  readonly kind: "chosen" | "ambiguous" | "none";
  /** All, the best first. */
  readonly candidates: readonly ScoredCandidate[];
  readonly threshold: number;
}

/** How a request came to its workflow; frozen in the run. */
export interface Intent {
  /** As it was sent; `null` when only a name was. */
  readonly text: string | null;
  readonly chosen: { readonly kind: IntentCandidate["kind"]; readonly name: string };
  readonly candidates: readonly ScoredCandidate[];
  readonly threshold: number;
  /** Who decided: scores, a model between close scores, or whoever named it. */
  readonly by: "rules" | "model" | "named";
  /** `provider/model`, when one decided. */
  readonly model?: string;
}

export const INTENT = {
  /** The best candidate is chosen from this score on… */
  threshold: 0.33,
  /** …if it leads the next one by this much. */
  margin: 0.1,
  /** Below this no candidate is offered at all. */
  floor: 0.12,
} as const;

/** How much a word counts by where it stands in a candidate. */
const WEIGHTS = { name: 4, verb: 1.6, example: 0.9, description: 1, keyword: 0.7 } as const;
/** Occurrences beyond this add little. */
const SATURATION = 2;
/** Sum of words at which half of certainty is reached. */
const HALF = 3;
/** A request begins with what is to be done; its further words say to what, and those of a long text little. */
const VERB_WEIGHT = 2.2;
const HEAD_WORDS = 3;
const HEAD_WEIGHT = 1.5;
const BODY_WORDS = 40;
const TAIL_WEIGHT = 0.2;
const EXAMPLE_WEIGHT = 0.6;
const COMMANDED = 0.7;
const MENTIONED = 0.35;
const MISSING_FACTOR = 0.93;
const FOREIGN_FACTOR = 0.6;
const MOST_PENALTIES = 4;
const WORDS_SHOWN = 6;
const MIN_IDF = 0.1;

/** Scores every candidate against a request and decides. The order of the candidates does not matter; never throws. */
export function routeIntent(
  request: { readonly text: string; readonly inputs: JsonObject },
  candidates: readonly IntentCandidate[],
): IntentDecision {
  const read = readText(request.text);
  const query = queryOf(read.prose);
  const documents = candidates.map(documentOf);
  const idf = idfOf(documents);
  const scored = candidates.map((candidate, at) =>
    scoreOf({ candidate, document: documents[at] as Document, query, idf, read, given: request.inputs }),
  );
  scored.sort((a, b) => b.score - a.score || compare(a.name, b.name) || compare(a.kind, b.kind));
  return { kind: decide(scored), candidates: scored, threshold: INTENT.threshold };
}

function decide(scored: readonly ScoredCandidate[]): IntentDecision["kind"] {
  const best = scored[0]?.score ?? 0;
  if (best < INTENT.floor) return "none";
  const lead = best - (scored[1]?.score ?? 0);
  return best >= INTENT.threshold && lead >= INTENT.margin ? "chosen" : "ambiguous";
}

/** Those that may be meant: the best, and what is near it. */
export function likelyCandidates(decision: IntentDecision, most: number): readonly ScoredCandidate[] {
  return decision.candidates.filter(({ score }) => score >= INTENT.floor).slice(0, most);
}

interface Document {
  readonly name: readonly string[];
  readonly examples: readonly (readonly string[])[];
  /** Word → how much it stands for the candidate. */
  readonly weights: ReadonlyMap<string, number>;
}

function documentOf(candidate: IntentCandidate): Document {
  const name = wordsOf(candidate.name.replaceAll(/[-_]/g, " "));
  const examples = candidate.examples.map((example) => [...new Set(wordsOf(readText(example).prose))]);
  const weights = new Map<string, number>();
  const add = (words: readonly string[], weight: number) => {
    for (const word of words) weights.set(word, (weights.get(word) ?? 0) + weight);
  };
  add(name, WEIGHTS.name);
  for (const words of examples) {
    add(words.slice(0, 1), WEIGHTS.verb);
    add(words.slice(1), WEIGHTS.example);
  }
  add(wordsOf(candidate.description), WEIGHTS.description);
  for (const keyword of candidate.keywords) add(wordsOf(keyword), WEIGHTS.keyword);
  return { name, examples, weights };
}

/** A word that fewer candidates have says more; asked only of words that some candidate has. */
function idfOf(documents: readonly Document[]): (word: string) => number {
  const holders = new Map<string, number>();
  for (const { weights } of documents) {
    for (const word of weights.keys()) holders.set(word, (holders.get(word) ?? 0) + 1);
  }
  return (word) => {
    const held = holders.get(word) as number;
    return MIN_IDF + Math.log(1 + (documents.length - held + 0.5) / (held + 0.5));
  };
}

interface Query {
  readonly sequence: readonly string[];
  /** Word → weight by the place where it stands first. */
  readonly words: ReadonlyMap<string, number>;
}

function queryOf(prose: string): Query {
  const sequence = wordsOf(prose);
  const words = new Map<string, number>();
  for (const word of sequence) {
    if (words.has(word)) continue;
    words.set(word, placeWeight(words.size));
  }
  return { sequence, words };
}

function placeWeight(at: number): number {
  if (at === 0) return VERB_WEIGHT;
  if (at < HEAD_WORDS) return HEAD_WEIGHT;
  return at < BODY_WORDS ? 1 : TAIL_WEIGHT;
}

interface Scoring {
  readonly candidate: IntentCandidate;
  readonly document: Document;
  readonly query: Query;
  readonly idf: (word: string) => number;
  readonly read: ReadText;
  readonly given: JsonObject;
}

function scoreOf(scoring: Scoring): ScoredCandidate {
  const { candidate } = scoring;
  const reasons: string[] = [];
  const words = wordScore(scoring, reasons);
  const example = exampleScore(scoring, reasons);
  const named = nameScore(scoring, reasons);
  const doubt = (1 - words) * (1 - EXAMPLE_WEIGHT * example) * (1 - named);
  const score = (1 - doubt) * penaltyOf(scoring, reasons);
  return { kind: candidate.kind, name: candidate.name, score: Math.round(score * 1_000) / 1_000, reasons };
}

function wordScore({ document, query, idf }: Scoring, reasons: string[]): number {
  let sum = 0;
  const shared: { readonly word: string; readonly worth: number }[] = [];
  for (const [word, weight] of query.words) {
    const held = document.weights.get(word);
    if (held === undefined) continue;
    const worth = weight * idf(word) * (held / (held + SATURATION));
    sum += worth;
    shared.push({ word, worth });
  }
  shared.sort((a, b) => b.worth - a.worth);
  const shown = shared.slice(0, WORDS_SHOWN).map(({ word }) => word);
  if (shown.length > 0) reasons.push(`words: ${shown.join(", ")}`);
  return sum / (sum + HALF);
}

/** How much of the example that is most alike the request says too. */
function exampleScore({ candidate, document, query, idf }: Scoring, reasons: string[]): number {
  let best = 0;
  let which = "";
  for (const [at, words] of document.examples.entries()) {
    let all = 0;
    let shared = 0;
    let count = 0;
    for (const word of words) {
      all += idf(word);
      const weight = query.words.get(word);
      if (weight === undefined) continue;
      shared += idf(word) * Math.min(1, weight);
      count += 1;
    }
    // One word in common is a coincidence, unless it is all there is.
    const alike = count < 2 && words.length > 1 ? 0 : shared / Math.max(all, 1);
    if (alike <= best) continue;
    best = alike;
    which = candidate.examples[at] as string;
  }
  if (best > 0) reasons.push(`like its example ${JSON.stringify(which)}`);
  return best * best;
}

/** A name of several words that occurs counts; one of a single word only where it is spoken of as a name. */
function nameScore({ candidate, document, query, read }: Scoring, reasons: string[]): number {
  const written = candidate.name
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_\s-]/gu, "\\W")
    .replaceAll(/[-_\s]/g, "[-_ ]");
  const command = new RegExp(
    `^\\s*(?:please\\s+)?(?:run|start|use|execute|launch)\\s+(?:the\\s+)?(?:workflow\\s+|agent\\s+)?\\W?${written}(?![\\w-])|\\b(?:workflow|agent)\\s+\\W?${written}(?![\\w-])|(?<![\\w-])${written}\\W?\\s+(?:workflow|agent)\\b`,
    "i",
  );
  if (command.test(read.prose)) {
    reasons.push("asked for by its name");
    return COMMANDED;
  }
  const starts = query.sequence.slice(0, document.name.length).join(" ") === document.name.join(" ");
  const several = document.name.length > 1;
  const mentioned = several && ` ${query.sequence.join(" ")} `.includes(` ${document.name.join(" ")} `);
  if (document.name.length === 0 || !(starts || mentioned)) return 0;
  reasons.push("mentions its name");
  return MENTIONED;
}

function penaltyOf({ candidate, read, given }: Scoring, reasons: string[]): number {
  const missing = missingInputs(candidate.inputs, inputsFrom(candidate.inputs, read, given));
  const foreign = foreignInputs(candidate.inputs, given);
  if (missing.length > 0) reasons.push(`lacks: ${missing.join(", ")}`);
  if (foreign.length > 0) reasons.push(`does not take: ${foreign.join(", ")}`);
  return (
    MISSING_FACTOR ** Math.min(missing.length, MOST_PENALTIES) *
    FOREIGN_FACTOR ** Math.min(foreign.length, MOST_PENALTIES)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
