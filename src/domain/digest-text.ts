import { clip } from "../base/text.ts";

/** What somebody who acts on a text must not miss. The weight says which line goes first when there is little room. */
const WEIGHTS: readonly (readonly [RegExp, number])[] = [
  [
    /\b(?:errors?|fail(?:s|ed|ure|ures|ing)?|exceptions?|fatal|panic|crash(?:es|ed)?|denied|refused|timed? ?out|aborted)\b/i,
    5,
  ],
  [
    /\b(?:decid(?:e|ed)|decision|because|therefore|conclusion|result|cause|must|open question|todo|fixme|blocked|risk)\b/i,
    4,
  ],
  [/\b(?:warn(?:ing)?s?|deprecated|skipped|not found|missing|unknown|unexpected|conflict)\b/i, 3],
  [
    /\b(?:pass(?:es|ed)?|succe(?:ss|eded)|done|finished|created|changed|deleted|fixed|added|removed|total|summary)\b/i,
    2,
  ],
  [/^\s*#{1,6}\s|^\s*\d+[.)]\s|^\s*[-*]\s/, 1],
];
const FIRST_LINES = 3;
const LAST_LINES = 4;
const EDGE_WEIGHT = 6;
const LINE_CHARS = 300;
const MAX_LINES = 20_000;

interface Line {
  readonly at: number;
  readonly text: string;
  readonly weight: number;
}

/**
 * A text by rule, when no model sums it up: its beginning and end, and the lines that tell of failures, decisions and
 * results, word for word and in their order; what is left out is counted. Repeated lines come once. At most `maxChars`
 * and the marks of what is missing.
 */
export function digestText(text: string, maxChars: number): string {
  const whole = text.replaceAll(/\r\n?/g, "\n").trim();
  if (whole.length <= maxChars) return whole;
  const lines = whole.split("\n", MAX_LINES).map((line) => line.trimEnd());
  const kept = chosen(weighed(lines), maxChars);
  // A text of few, endless lines has no lines to choose from.
  return kept.length === 0 ? clip(whole, maxChars).text : joined(kept, lines.length);
}

function weighed(lines: readonly string[]): readonly Line[] {
  const seen = new Set<string>();
  const full = lines.flatMap((text, at) => (text.trim() === "" ? [] : [{ text, at }]));
  return full.flatMap(({ text, at }, index): readonly Line[] => {
    // The same but for numbers is the same news: progress, times, counters.
    const key = text.replaceAll(/\d+/g, "#").trim();
    if (seen.has(key)) return [];
    seen.add(key);
    const edge = index < FIRST_LINES || index >= full.length - LAST_LINES;
    const told = WEIGHTS.find(([pattern]) => pattern.test(text))?.[1] ?? 0;
    return [{ at, text: clip(text, LINE_CHARS).text, weight: edge ? EDGE_WEIGHT : told }];
  });
}

function chosen(lines: readonly Line[], maxChars: number): readonly Line[] {
  const kept: Line[] = [];
  let room = maxChars;
  for (const line of lines.toSorted((a, b) => b.weight - a.weight || a.at - b.at)) {
    const size = line.text.length + 1;
    if (line.weight === 0 || size > room) continue;
    kept.push(line);
    room -= size;
  }
  return kept.sort((a, b) => a.at - b.at);
}

function joined(kept: readonly Line[], total: number): string {
  const out: string[] = [];
  let next = 0;
  const gap = (until: number) => {
    if (until > next) out.push(`… [${until - next} ${until - next === 1 ? "line" : "lines"} left out] …`);
  };
  for (const { at, text } of kept) {
    gap(at);
    out.push(text);
    next = at + 1;
  }
  gap(total);
  return out.join("\n");
}
