/** Words of a text as they are compared: lower case, without endings, without those that every sentence has. */

/** Words read of one text; what comes after says little more. */
const MAX_WORDS = 600;
const MIN_STEM = 3;

const STOP_WORDS: ReadonlySet<string> = new Set(
  `a about all also am an and any are as at be because been before being but by can could did do does done for from
  get give had has have having he her here him his how i if in into is it its just kindly let like ll look make may me might
  more must my need no not now of on one only or other our out over own please s she should so some such t than that the
  their them then there these they this those through to too under until up us ve very want was we were what when where
  which while who whom why will with would you your`
    .split(/\s+/)
    .filter(Boolean),
);

/** Words whose forms no rule brings together. */
const IRREGULAR: Readonly<Record<string, string>> = {
  analysis: "analys",
  analyses: "analys",
  analyze: "analys",
  analyzes: "analys",
  analyzed: "analys",
  analyzing: "analys",
  broke: "break",
  broken: "break",
  docs: "document",
  doc: "document",
  explanation: "explain",
  explanations: "explain",
  wrote: "write",
  written: "write",
};

const ENDINGS = ["ations", "ation", "ings", "ing", "ies", "ers", "er", "es", "ed", "s", "ly"] as const;

/** A text that begins with one of these asks; further on they only join clauses. */
const ASKING: ReadonlySet<string> = new Set(["how", "why", "what", "where", "which", "who", "when"]);
const QUESTION = "question";

/** The words of a text, in order, as stems; with repeats. A word that begins a question stands as `question`. */
export function wordsOf(text: string): readonly string[] {
  const found: string[] = [];
  for (const match of text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)) {
    if (found.length >= MAX_WORDS) break;
    const [word] = match;
    const begins = found.length === 0 && text.slice(0, match.index).trim() === "";
    if (begins && ASKING.has(word)) found.push(QUESTION);
    else if (!STOP_WORDS.has(word)) found.push(stem(word));
  }
  return found;
}

/** `reviewing`, `reviews`, `reviewed` → `review`. Not linguistics: only the same for what should be found together. */
export function stem(word: string): string {
  if (Object.hasOwn(IRREGULAR, word)) return IRREGULAR[word] as string;
  for (const ending of ENDINGS) {
    if (!word.endsWith(ending) || word.length - ending.length < MIN_STEM) continue;
    if (ending === "s" && word.endsWith("ss")) continue;
    const rest = word.slice(0, -ending.length);
    return shorten(ending === "ies" ? `${rest}y` : rest);
  }
  return shorten(word);
}

/** `planning` and `plan`, `describe` and `describing`, `tidies` and `tidy` end alike. */
function shorten(word: string): string {
  const last = word.at(-1);
  if (word.length > MIN_STEM && last === word.at(-2) && last !== "s" && last !== "l")
    return word.slice(0, -1);
  return word.length > MIN_STEM && last === "e" ? word.slice(0, -1) : word;
}
