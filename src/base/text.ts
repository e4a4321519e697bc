/** Edit distance, for "did you mean". */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The known name nearest to what was written, or `null` when none is near enough to be meant. */
export function nearest(written: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(written.length / 2)) + 1;
  for (const name of known) {
    const distance = editDistance(written.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

export interface Clipped {
  readonly text: string;
  /** Characters left out of the middle; 0 when the text is whole. */
  readonly elided: number;
}

/**
 * Head and tail of a long text, `maxChars` of it in all, with the cut made visible and measured, so that no reader
 * takes it for the whole. The mark comes on top; a text that it would make no shorter stays whole. No character is
 * cut in two.
 */
export function clip(text: string, maxChars: number): Clipped {
  const half = Math.ceil(maxChars / 2);
  const head = half - (splitsPair(text, half) ? 1 : 0);
  const from = text.length - (maxChars - half);
  const tail = from + (splitsPair(text, from) ? 1 : 0);
  const elided = tail - head;
  const mark = `\n… [${elided} characters left out] …\n`;
  if (elided <= mark.length) return { text, elided: 0 };
  return { text: text.slice(0, head) + mark + text.slice(tail), elided };
}

/** Whether a cut at `at` would part the two halves of one character. */
function splitsPair(text: string, at: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(Math.max(0, at - 1), at + 1));
}

/** "Fix the login page!" → "fix-the-login-page": safe in a branch name and a path on every system. */
export function slug(text: string, maxChars: number): string {
  const words = text
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  const cut = words.replaceAll(/^-+|-+$/g, "").slice(0, maxChars);
  return cut.replaceAll(/-+$/g, "") || "task";
}
