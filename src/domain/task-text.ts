import { clip, slug } from "../base/text.ts";
import type { TaskSpec } from "./task.ts";

/** Whatever was written, a task has no more than this. */
export const TASK_TEXT = { titleChars: 100, items: 50, itemChars: 500, idChars: 40 } as const;

type Section = "changes" | "context" | "acceptance" | "paths" | "checks";

/** What people call the parts of a task; the first that fits. */
const SECTIONS: readonly (readonly [RegExp, Section])[] = [
  [
    /^(?:acceptance|accepted|criteria|done when|definition of done|dod|expected|success|expectations?)\b/i,
    "acceptance",
  ],
  [/^(?:files?|paths?|where|affected|touch(?:es)?|locations?)\b/i, "paths"],
  [
    /^(?:checks?|verif|validat|how to (?:test|check|verify)|commands?|test (?:commands?|plan)|tests? to run)/i,
    "checks",
  ],
  [
    /^(?:context|background|why|motivation|reason|notes?|current|problem|details?|hints?|steps to reproduce|actual|environment)\b/i,
    "context",
  ],
  [
    /^(?:changes?|to-?do|tasks?|requirements?|what|scope|steps|wanted|goals?|implementation|plan|work)\b/i,
    "changes",
  ],
];
const TITLE_LABEL = /^(?:title|task|summary|subject)$/i;

const POLITE =
  /^(?:(?:hi|hello|hey)\b[^,.!]{0,20}[,.!]\s*|please[,:]?\s+|pls\s+|kindly\s+|(?:can|could|would|will) (?:you|we|somebody|someone)(?: please)?\s+|(?:i|we)(?:'d| would) (?:like|love)(?: you)? to\s+|(?:i|we) (?:want|need)(?: you)? to\s+|(?:you|we|i) (?:should|must|have to|need to|ought to)\s+|let'?s\s+|also[,]?\s+|then[,]?\s+|and\s+|finally[,]?\s+|next[,]?\s+|first(?:ly)?[,]?\s+|secondly[,]?\s+|(?:the )?task is to\s+|todo:?\s+)/i;
const IMPERATIVE =
  /^(?:add|adapt|adjust|allow|apply|bring|build|bump|cache|change|clean|configure|connect|convert|correct|cover|create|cut|debug|delete|deprecate|describe|disable|display|document|drop|enable|expand|export|expose|extend|extract|find|fix|format|generate|get|give|handle|hide|implement|import|improve|include|increase|inline|install|integrate|introduce|investigate|limit|link|load|log|look|lower|make(?! sure)|merge|migrate|mock|modernise|modernize|move|optimi[sz]e|parse|paginate|patch|pin|port|prepare|prevent|print|provide|publish|put|raise|read|rebuild|redact|reduce|refactor|release|remove|rename|reorder|repair|replace|resolve|restore|restructure|return|reuse|revert|review|rewrite|save|send|set|show|simplify|sort|speed|split|store|stop|strip|support|swap|switch|sync|test|throw|tidy|translate|trim|turn|unify|update|upgrade|use|validate|wire|wrap|write)\b/i;
const CONTEXT =
  /^(?:currently|right now|at the moment|today|yesterday|because|since|background|note|fyi|btw|the (?:problem|issue|reason|cause|bug|user|customer)|we (?:have|use|are|were|recently|noticed|see|saw|run|already)|there(?: is| are|'s)|it (?:seems|looks|turned|used|works|crashes|fails|happens|breaks|is|was)|(?:some |many |our )?(?:users?|customers?|people) |this (?:happens|is|was|breaks|worked|started|came)|our\b|i (?:think|noticed|saw|believe|guess|tried)|as (?:far|you|of)|for (?:context|reference)|see\b|related)/i;
const CONSTRAINT = /^(?:do not|don'?t|never|avoid|no |without|keep|leave)\b/i;
/** A sentence that is about a command and nothing else; the command is a check. */
const CHECKING =
  /^(?:\$ |(?:run|execute|(?:check|verify|test|confirm)(?: it| this| that)? (?:with|by|using))\b)/i;
const EXPECTATION =
  /^(?:ensure|make sure|be sure|verify|check|confirm|assert|given|expect|i want(?! to)|i expect)\b|^when\b.*\bthen\b|\b(?:should|must|shall|has to|have to|needs? (?:to|an?|the)|ought to)\b|\btests? (?:still )?(?:pass|are green|stay green)|\bstays? green\b|\bno regressions?\b|\bis accepted\b/i;

/** Also before a constraint that was joined on; `e.g.` ends no sentence, and neither does a version. */
const SENTENCE_END =
  /(?<=[.!?])(?<!\b(?:e\.g|i\.e|etc|vs|cf|max|min|approx|resp|no)\.)\s+(?=["'`(]?[\p{L}\d`])|;\s+|,?\s+(?:and|but)\s+(?=(?:make sure|ensure|verify|check that|don'?t|do not)\b)/iu;

const ITEM = /^\s*(?:[-*•+–]|\d{1,3}[.)]|[a-z]\))\s+(?:\[[ xX]?\]\s*)?(\S.*)$/;
const HEADING = /^(#{1,6})\s+(.+?)\s*#*$|^\*\*([^*]{2,60})\*\*:?$|^([A-Za-z][A-Za-z '/-]{1,40}):$/;
const LABELLED = /^(?:\*\*|__)?([A-Za-z][A-Za-z '-]{1,30})(?:\*\*|__)?:(?:\*\*|__)?\s+(\S.*)$/;
const FENCE = /^\s*(?:```|~~~)\s*(\w*)/;
const SHELL = /^(?:ba|z|fi)?sh$|^(?:shell|console|terminal|cmd|powershell)$/i;

const EXTENSIONS =
  "tsx?|jsx?|mjs|cjs|mts|py|java|kts?|go|rs|rb|php|cs|cpp|cc|hpp|c|h|swift|scala|md|mdx|rst|txt|json|jsonc|ya?ml|toml|ini|cfg|conf|env|xml|html?|s?css|less|vue|svelte|sql|sh|bat|ps1|gradle|properties|proto|tf|lock|csv|svg";
/** With a folder, a glob or a known ending; never part of an address. */
const PATH = new RegExp(
  `(?<![\\w/.:@-])(?:\\.{1,2}/|\\.?[\\w@-][\\w@.-]*/|\\*\\*?/)(?:[\\w@.*{},-]+/)*(?:[\\w@.*{},-]*[\\w*}])?|(?<![\\w/.:@-])[\\w.-]*\\w\\.(?:${EXTENSIONS})\\b(?![\\w/(])`,
  "g",
);
/** `Node.js` is a product, `and/or` a word, `1/2` a number. */
const NO_PATH =
  /^(?:[A-Z]\w*\.js|\d[\d./]*|and\/or|either\/or|yes\/no|true\/false|on\/off|read\/write|input\/output|client\/server|ci\/cd|i\/o|n\/a|w\/o|he\/she|e\.g|i\.e)$/i;
const KNOWN_FOLDER =
  /^(?:src|lib|app|apps|packages|test|tests|docs?|scripts|bin|cmd|internal|pkg|web|ui|api|config|public|server|client|components|examples|tools|infra|deploy|migrations|\.github|\.{1,2})\//i;
const NAMED_FILES = /(?<![\w/.-])(?:Dockerfile|Makefile|Jenkinsfile|Gemfile|Rakefile|CODEOWNERS)\b/g;

const PROGRAMS =
  "npm|npx|pnpm|yarn|bun|node|deno|make|cargo|go|python3?|pytest|pip|poetry|uv|tox|nox|ruff|mypy|mvn|\\./mvnw|gradle|\\./gradlew|dotnet|bundle|rake|rspec|rails|composer|phpunit|docker|terraform|just|task|bazel|ctest|cmake|eslint|tsc|vitest|jest|golangci-lint|\\./[\\w.-]+\\.sh";
const COMMAND = new RegExp(`^(?:\\$\\s+)?((?:${PROGRAMS})(?:\\s+\\S.*)?)$`);
const SPOKEN_COMMAND =
  /\b(?:run(?:ning|s)?|with|using|execute|via)\s+((?:npm|npx|pnpm|yarn|make|cargo|go|pytest|mvn|\.\/mvnw|gradle|\.\/gradlew|dotnet|tox)(?:\s+(?:test|run|check|lint|build|verify|vet|fmt|clippy|[\w]+:[\w:-]+|-[\w-]+|\.\/\.\.\.|--[\w=-]+))*)/gi;

/** "Find and fix it": of what, the other sentences say. */
const SAYS_NOTHING = /^.{0,30}\b(?:it|this|that|them)$/i;

interface Draft {
  title: string;
  readonly changes: string[];
  readonly context: string[];
  readonly acceptance: string[];
  readonly paths: string[];
  readonly checks: string[];
}

/** A sentence or an item of a list, and the part of the task it stands in. */
interface Unit {
  text: string;
  readonly section: Section | null;
  readonly item: boolean;
}

/**
 * A loosely written task as a TaskSpec, by rules alone: headings and labels where there are some, otherwise what the
 * sentences say (imperatives are changes, "should" and "must" are accepted when, "currently" is context). The words
 * themselves stay whole in `description`; nothing is invented.
 */
export function readTaskText(text: string): TaskSpec {
  const whole = text.replaceAll(/\r\n?/g, "\n").trim();
  const draft: Draft = { title: "", changes: [], context: [], acceptance: [], paths: [], checks: [] };
  const units = unitsOf(whole, draft);
  for (const [index, unit] of units.entries()) place(unit, draft, index === 0 && draft.title === "");
  findHints(whole, draft);
  const wanted = draft.changes.find((change) => !SAYS_NOTHING.test(change));
  const title = titleFrom(draft.title || wanted || units[0]?.text || whole);
  const changes = draft.changes.length === 0 && title !== "" ? [title] : draft.changes;
  return {
    id: title === "" ? "" : slug(title, TASK_TEXT.idChars),
    title,
    description: whole,
    changes: tidy(changes),
    context: tidy(draft.context),
    acceptance: tidy(draft.acceptance),
    hints: { paths: tidy(draft.paths), checks: tidy(draft.checks) },
  };
}

function titleFrom(text: string): string {
  const plain = withoutPoliteness(text.replaceAll(/`([^`]*)`|(?<![\w/*])\*\*([^*]+)\*\*(?![\w/])/g, "$1$2"));
  const [line = ""] = plain.split("\n");
  const cut = line.length <= TASK_TEXT.titleChars ? line : shortened(line);
  const bare = cut.replace(/[\s.:;,!?-]+$/, "").trim();
  return /\p{L}/u.test(bare) ? bare.slice(0, 1).toUpperCase() + bare.slice(1) : "";
}

/** Its first clause, or as many words as there is room for. */
function shortened(line: string): string {
  const room = line.slice(0, TASK_TEXT.titleChars);
  const clause = /^.{20,}?(?=[;:]\s|\s[–—]\s|\. )/.exec(room)?.[0];
  return clause ?? `${room.slice(0, Math.max(room.lastIndexOf(" "), 60))}…`;
}

function withoutPoliteness(text: string): string {
  let rest = text.trim();
  // Two or three of them in a row are common, more are a game.
  for (let round = 0; round < 4; round += 1) rest = rest.replace(POLITE, "");
  return rest;
}

function unitsOf(text: string, draft: Draft): readonly Unit[] {
  const units: Unit[] = [];
  let section: Section | null = null;
  let fence: string | null = null;
  let paragraph: string[] = [];
  let open: Unit | null = null;
  const flush = () => {
    for (const sentence of sentencesOf(paragraph.join(" ")))
      units.push({ text: sentence, section, item: false });
    paragraph = [];
    open = null;
  };
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    const mark = FENCE.exec(line);
    if (mark !== null) {
      flush();
      fence = fence === null ? (mark[1] as string) : null;
      continue;
    }
    if (fence !== null) {
      if (SHELL.test(fence) || section === "checks" || line.startsWith("$ ")) addCommand(line.trim(), draft);
      continue;
    }
    const trimmed = line.trim();
    if (trimmed === "") {
      flush();
      continue;
    }
    const heading = headingOf(trimmed);
    if (heading !== null) {
      flush();
      section = sectionOf(heading.text);
      if (section === null && draft.title === "" && units.length === 0) draft.title = heading.text;
      continue;
    }
    if (isTitleLine(lines, index) && draft.title === "") {
      draft.title = trimmed;
      continue;
    }
    const labelled = labelOf(trimmed.replace(ITEM, "$1"), draft);
    if (labelled !== null) {
      flush();
      units.push(...labelled);
      continue;
    }
    const item = ITEM.exec(line)?.[1];
    if (item !== undefined) {
      flush();
      open = { text: item.trim(), section, item: true };
      units.push(open);
    } else if (open !== null && /^\s/.test(line)) {
      open.text += ` ${trimmed}`;
    } else {
      open = null;
      paragraph.push(trimmed);
    }
  }
  flush();
  return units;
}

/** The first line, when it stands alone above the rest and is no sentence. */
function isTitleLine(lines: readonly string[], index: number): boolean {
  const line = (lines[index] as string).trim();
  const next = lines[index + 1];
  if (index !== 0 || next === undefined || line.length > TASK_TEXT.titleChars) return false;
  if (ITEM.test(line) || LABELLED.test(line) || /[.!?]$/.test(line)) return false;
  return next.trim() === "" || ITEM.test(next);
}

function headingOf(line: string): { readonly text: string } | null {
  const match = HEADING.exec(line);
  if (match === null) return null;
  const text = (match[2] ?? match[3] ?? match[4]) as string;
  return { text: text.replaceAll(/[*_`]/g, "").replace(/:$/, "").trim() };
}

function sectionOf(name: string): Section | null {
  return SECTIONS.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

/** `Acceptance: all tests pass; the page loads`: one line that is a part of its own. */
function labelOf(line: string, draft: Draft): readonly Unit[] | null {
  const [, label = "", rest = ""] = LABELLED.exec(line) ?? [];
  if (TITLE_LABEL.test(label)) {
    if (draft.title !== "") return null;
    draft.title = rest;
    return [];
  }
  const section = sectionOf(label);
  if (section === null) return null;
  const parts = section === "context" ? [rest] : rest.split(/;\s+/);
  return parts.map((text) => ({ text, section, item: true }));
}

function sentencesOf(paragraph: string): readonly string[] {
  if (paragraph.trim() === "") return [];
  return paragraph
    .split(SENTENCE_END)
    .map((sentence) => sentence.trim())
    .filter((sentence) => /\p{L}/u.test(sentence));
}

/** `isFirst`: nothing was said before it, not even a title, so it must be what is wanted. */
function place(unit: Unit, draft: Draft, isFirst: boolean): void {
  const { section } = unit;
  const text = unit.text.replace(/[;,]$/, "").trim();
  const said = withoutPoliteness(text);
  if (section === "paths") {
    const found = pathsIn(text);
    draft.paths.push(...(found.length === 0 && !/\s/.test(text) ? [text.replaceAll("`", "")] : found));
    if (found.length === 0 && /\s/.test(text)) draft.context.push(text);
    return;
  }
  if (section === "checks") {
    if (!addCommands(text, draft)) draft.acceptance.push(text);
    return;
  }
  if (section === null && CHECKING.test(said) && addCommands(said, draft)) return;
  const into = section ?? classify(said, unit, isFirst);
  const words = section === null ? said : text;
  draft[into].push(into === "changes" ? words.replace(/[.?!]+$/, "") : words);
}

function classify(said: string, unit: Unit, isFirst: boolean): "changes" | "context" | "acceptance" {
  if (IMPERATIVE.test(said)) return "changes";
  if (CONSTRAINT.test(said)) return "acceptance";
  // Before "must" and "should": "currently it must be restarted" tells how things are.
  if (CONTEXT.test(said) && !/^(?:it|this|the) .*\b(?:should|must|shall)\b/i.test(said)) return "context";
  if (EXPECTATION.test(said)) return "acceptance";
  return unit.item || isFirst ? "changes" : "context";
}

function findHints(text: string, draft: Draft): void {
  for (const [, quoted = ""] of text.matchAll(/`([^`\n]{2,200})`/g)) addCommand(quoted.trim(), draft);
  for (const line of text.split("\n")) if (/^\s*\$\s+\S/.test(line)) addCommand(line.trim(), draft);
  const spoken = text.replaceAll(/`[^`\n]*`/g, " ");
  for (const [, command = ""] of spoken.matchAll(SPOKEN_COMMAND)) addCommand(command.trim(), draft);
  const withoutCommands = draft.checks.reduce((rest, command) => rest.replaceAll(command, " "), text);
  draft.paths.push(...pathsIn(withoutCommands));
}

function pathsIn(text: string): readonly string[] {
  const spoken = text.replaceAll(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, " ");
  const found = [...spoken.matchAll(PATH)].map(([match]) => match.replace(/[.,]+$/, ""));
  const named = [...spoken.matchAll(NAMED_FILES)].map(([match]) => match);
  return [...found.filter(isPath), ...named];
}

function isPath(match: string): boolean {
  if (NO_PATH.test(match)) return false;
  if (/\.\w+$|[*{]/.test(match)) return true;
  return KNOWN_FOLDER.test(match) || match.endsWith("/");
}

function addCommand(text: string, draft: Draft): boolean {
  const command = COMMAND.exec(text)?.[1];
  if (command === undefined || /^(?:go|make|task|just|node|bun|python3?|docker)$/.test(command)) return false;
  if (/^(?:go|make|just|task) (?:to|sure|the|it|that|an?|do)\b/.test(command)) return false;
  draft.checks.push(command.trim());
  return true;
}

/** A check as it was written: a command alone, or one in quotes. */
function addCommands(text: string, draft: Draft): boolean {
  if (addCommand(text.replaceAll("`", ""), draft)) return true;
  const spoken = [...text.matchAll(SPOKEN_COMMAND)].map(([, command = ""]) => addCommand(command, draft));
  return [
    ...spoken,
    ...[...text.matchAll(/`([^`]+)`/g)].map(([, quoted = ""]) => addCommand(quoted.trim(), draft)),
  ].some(Boolean);
}

function tidy(items: readonly string[]): readonly string[] {
  const seen = new Set(items.map((item) => clip(item.trim(), TASK_TEXT.itemChars).text));
  seen.delete("");
  return [...seen].slice(0, TASK_TEXT.items);
}
