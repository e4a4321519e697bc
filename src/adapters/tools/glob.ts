const MAX_GLOB_CHARS = 500;
const MAX_ALTERNATIVES = 100;

export type GlobMatcher = (path: string) => boolean;

/**
 * A matcher for `*`, `?`, `[a-z]`, `{a,b}` and `**`; `null` when the pattern is too large or not well formed. A
 * pattern without a slash fits the last name of a path at any depth, as in .gitignore. No regular expression is
 * made of it: a hostile pattern costs at most its length times the path's.
 */
export function compileGlob(glob: string): GlobMatcher | null {
  if (glob.length > MAX_GLOB_CHARS) return null;
  const alternatives = expandBraces(glob.replace(/^(\.?\/)+/, ""));
  if (alternatives === null) return null;
  const patterns = alternatives.map((text) => {
    const names = text.replace(/\/$/, "/**").split("/");
    return (names.length === 1 ? ["**", ...names] : names).map(compileName);
  });
  return (path) => {
    const names = path.split("/").map((name) => [...name]);
    return patterns.some((pattern) => fits(pattern, names, matchName, (part) => part === "**"));
  };
}

type Part = "*" | ((character: string) => boolean);
type NamePattern = "**" | readonly Part[];

/** Whether a sequence of parts fits a sequence of items, where a wild part takes any number of items. */
function fits<P, I>(
  parts: readonly P[],
  items: readonly I[],
  matches: (part: P, item: I) => boolean,
  isWild: (part: P) => boolean,
): boolean {
  let reached = new Set([0]);
  const closure = (at: number): number => {
    let next = at;
    for (let part = parts[next]; part !== undefined && isWild(part); part = parts[next]) {
      reached.add(next);
      next += 1;
    }
    reached.add(next);
    return next;
  };
  closure(0);
  for (const item of items) {
    const before = reached;
    reached = new Set();
    for (const at of before) {
      const part = parts[at];
      if (part === undefined) continue;
      if (isWild(part)) closure(at);
      else if (matches(part, item)) closure(at + 1);
    }
    if (reached.size === 0) return false;
  }
  return reached.has(parts.length);
}

function matchName(pattern: NamePattern, name: readonly string[]): boolean {
  if (pattern === "**") return true;
  const matches = (part: Part, character: string): boolean => part !== "*" && part(character);
  return fits(pattern, name, matches, (part) => part === "*");
}

function compileName(name: string): NamePattern {
  if (name === "**") return "**";
  const parts: Part[] = [];
  const characters = [...name];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "*") {
      if (parts.at(-1) !== "*") parts.push("*");
    } else if (character === "?") {
      parts.push(() => true);
    } else if (character === "[" && characters.indexOf("]", at + 2) > 0) {
      const end = characters.indexOf("]", at + 2);
      parts.push(compileClass(characters.slice(at + 1, end)));
      at = end;
    } else {
      parts.push((there) => there === character);
    }
  }
  return parts;
}

function compileClass(inner: readonly string[]): (character: string) => boolean {
  const negated = inner[0] === "!" || inner[0] === "^";
  const members = negated ? inner.slice(1) : inner;
  const ranges: (readonly [string, string])[] = [];
  for (let at = 0; at < members.length; at += 1) {
    const from = members[at] ?? "";
    const to = members[at + 1] === "-" ? members[at + 2] : undefined;
    ranges.push([from, to ?? from]);
    if (to !== undefined) at += 2;
  }
  return (character) => ranges.some(([from, to]) => from <= character && character <= to) !== negated;
}

/** "a{b,c}" → ["ab", "ac"]; `null` when there are too many, or a brace is not closed. */
function expandBraces(glob: string): readonly string[] | null {
  let pending = [glob];
  const done: string[] = [];
  while (pending.length > 0) {
    const next: string[] = [];
    for (const text of pending) {
      const open = text.indexOf("{");
      if (open < 0) {
        done.push(text);
        continue;
      }
      const options = optionsAt(text, open);
      if (options === null) return null;
      next.push(...options);
      if (done.length + next.length > MAX_ALTERNATIVES) return null;
    }
    pending = next;
  }
  return done;
}

function optionsAt(text: string, open: number): readonly string[] | null {
  let depth = 0;
  let from = open + 1;
  const options: string[] = [];
  for (let at = open; at < text.length; at += 1) {
    const character = text[at];
    if (character === "{") depth += 1;
    if (character === "}") depth -= 1;
    if ((character === "," && depth === 1) || depth === 0) {
      options.push(text.slice(from, at));
      from = at + 1;
    }
    if (depth === 0) return options.map((option) => text.slice(0, open) + option + text.slice(at + 1));
  }
  return null;
}
