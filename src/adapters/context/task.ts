import { hashWord, identifiers, wordsOf } from "./words.ts";

/** Words of a task that are looked for, weightiest first. */
export const MAX_TERMS = 96;
const MAX_TASK_CHARS = 40_000;
const TITLE_WEIGHT = 2;
const CODE_WEIGHT = 1.5;
/** How much a second, third, … mention adds to the first. */
const REPEAT_GAIN = 0.25;

const STOP_WORDS = new Set(
  (
    "a about above after again all also am an and any are as at be because been before being below between both but " +
    "by can cannot could did do does doing don down during each few for from further had has have having he her here " +
    "hers him his how i if in into is it its itself just let me more most my no nor not now of off on once only or " +
    "other our ours out over own please same she should so some such than that the their them then there these they " +
    "this those through to too under until up us very was we were what when where which while who whom why will with " +
    "would you your yours re ve ll isn doesn won"
  ).split(" "),
);
const NOISE_LINES =
  /^\s*(?:signed-off-by|co-authored-by|co-developed-by|reviewed-by|acked-by|tested-by|reported-by|suggested-by|helped-by|cc|change-id|git-svn-id|\(cherry picked from)\b.*$/gim;
const URLS = /\bhttps?:\/\/[^\s)>\]"']+/gi;
const CODE_SPAN = /`([^`\n]+)`/g;
const PATH_LIKE = /(?:[\w@.+~-]+[/\\])+[\w@.+~-]*[\w@+~-]|[\w@+~-][\w@.+~-]*\.[A-Za-z][A-Za-z0-9]{0,9}\b/g;

/** A task without the lines and links that say nothing about files. */
function cleaned(task: string): string {
  return task.slice(0, MAX_TASK_CHARS).replaceAll(NOISE_LINES, "").replaceAll(URLS, " ");
}

/** The words of a task by `hashWord`, each with its weight (more than 0). */
export function taskWords(task: string): ReadonlyMap<number, number> {
  const text = cleaned(task).trim();
  const titleEnd = text.indexOf("\n");
  const title = titleEnd < 0 ? text : text.slice(0, titleEnd);
  const body = titleEnd < 0 ? "" : text.slice(titleEnd);
  const weights = new Map<number, number>();
  addWords(weights, title, TITLE_WEIGHT);
  addWords(weights, body, 1);
  return new Map([...weights].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, MAX_TERMS));
}

function addWords(weights: Map<number, number>, text: string, weight: number): void {
  const code = new Set<string>();
  for (const span of text.matchAll(CODE_SPAN)) for (const name of identifiers(span[1] ?? "")) code.add(name);
  for (const name of identifiers(text)) {
    if (STOP_WORDS.has(name.toLowerCase())) continue;
    for (const word of wordsOf(name)) {
      if (STOP_WORDS.has(word)) continue;
      const hash = hashWord(word);
      const gain = code.has(name) ? weight * CODE_WEIGHT : weight;
      const before = weights.get(hash);
      weights.set(
        hash,
        before === undefined ? gain : Math.max(before, gain) + REPEAT_GAIN * Math.min(before, gain),
      );
    }
  }
}

/** What in a task looks like a path or a file name, with `/`, without a leading `./` or `a/`, `b/` of a diff. */
export function namedPaths(task: string): readonly string[] {
  const named = new Set<string>();
  for (const match of cleaned(task).matchAll(PATH_LIKE)) {
    const path = match[0].replaceAll("\\", "/").replace(/^(?:\.{1,2}\/)+/, "");
    if (path !== "") named.add(path);
  }
  return [...named];
}
