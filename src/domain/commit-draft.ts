import { areaSubject, cutSubject, type FileChange, fileSummary, printable } from "./commit-message.ts";

/** What a commit without a model's message is written from. */
export interface CommitFacts {
  readonly files: readonly FileChange[];
  /** As `git diff` prints it; empty when there is none. */
  readonly patch: string;
  /** What the change was made for. */
  readonly task: { readonly title: string; readonly changes: readonly string[] } | null;
}

type Type = "feat" | "fix" | "refactor" | "perf" | "test" | "docs" | "build" | "ci" | "chore";
type Kind = "source" | "test" | "docs" | "build" | "ci";

const KINDS: readonly (readonly [RegExp, Kind])[] = [
  [/^\.github\/workflows\/|^\.gitlab-ci|^\.circleci\/|(?:^|\/)(?:Jenkinsfile|azure-pipelines\.ya?ml)$/, "ci"],
  [
    /(?:^|\/)(?:package(?:-lock)?\.json|[\w.-]+\.lock(?:b)?|pnpm-lock\.yaml|pom\.xml|build\.gradle(?:\.kts)?|Cargo\.toml|go\.(?:mod|sum)|pyproject\.toml|requirements[\w.-]*\.txt|Gemfile|composer\.json|Makefile|Dockerfile[\w.-]*|tsconfig[\w.-]*\.json)$/,
    "build",
  ],
  [
    /(?:^|\/)(?:tests?|__tests__|spec|e2e)\/|[._](?:test|spec|suite)\.\w+$|(?:_test|Test|Tests|IT)\.\w+$/,
    "test",
  ],
  [/\.(?:md|mdx|rst|adoc)$|(?:^|\/)docs?\/|(?:^|\/)(?:LICENSE|NOTICE|CHANGELOG)\b/i, "docs"],
];
/** Where there is no source, the first that is there says what it is about. */
const WITHOUT_SOURCE: readonly Exclude<Kind, "source">[] = ["build", "ci", "test", "docs"];

const WORDS: readonly (readonly [RegExp, Type])[] = [
  [
    /\b(?:fix(?:es|ed)?|bug|crash(?:es)?|repair|correct|broken|wrong|error|regression|fails?|failing|leak)\b/i,
    "fix",
  ],
  [/\b(?:speed|faster|slow|performance|optimi[sz]e|latency|cache)\b/i, "perf"],
  [/\b(?:refactor|rename|extract|move|clean|restructure|simplify|split|reorgani[sz]e|inline)\b/i, "refactor"],
  [/\b(?:add|implement|introduce|support|create|allow|build|new|enable|export|show)\b/i, "feat"],
];
/** Folders that say nothing of what is in them. */
const GENERIC =
  /^(?:src|lib|app|apps|main|java|kotlin|packages|modules|internal|pkg|cmd|source|sources|code|com|org|net|io|test|tests|__tests__|spec)$/;
const SCOPE = /^[a-z][a-z0-9-]{1,23}$/;
const PREFIX = /^(?:feat|fix|docs|refactor|test|perf|build|ci|chore)(?:\([^)]*\))?!?:\s*/i;
const DEFINITION =
  /^([+-])(?:export\s+)?(?:default\s+)?(?:public\s+|abstract\s+|final\s+|pub\s+)*(?:async\s+)?(?:function|class|interface|type|enum|struct|trait|record|def|func|fn|(?<=export\s)const)\s+([A-Za-z_]\w{2,40})/;
const NAMES_SHOWN = 3;
const PATCH_LINES = 20_000;

/**
 * The message when no model has written one: `type(scope): subject` in the task's own words, else after what the diff
 * defines, else after where it is; then every file with its numbers of lines. The same facts give the same message.
 */
export function fallbackCommitMessage(facts: CommitFacts): string {
  if (facts.files.length === 0) return "chore: change nothing\n";
  return `${draftSubject(facts)}\n\n${fileSummary(facts.files)}\n`;
}

function draftSubject(facts: CommitFacts): string {
  const kinds = new Map<FileChange, Kind>(facts.files.map((file) => [file, kindOf(file.path)]));
  const source = facts.files.filter((file) => kinds.get(file) === "source");
  const names = newNames(facts.patch);
  const type = typeOf({ facts, source, kinds: new Set(kinds.values()), names });
  const scope = scopeOf(source.length === 0 ? facts.files : source);
  const prefix = scope === null ? `${type}: ` : `${type}(${scope}): `;
  return cutSubject(prefix + subjectOf(facts, names));
}

function kindOf(path: string): Kind {
  return KINDS.find(([pattern]) => pattern.test(path))?.[1] ?? "source";
}

function typeOf(of: {
  readonly facts: CommitFacts;
  readonly source: readonly FileChange[];
  readonly kinds: ReadonlySet<Kind>;
  readonly names: readonly string[];
}): Type {
  const { facts, source, kinds, names } = of;
  if (source.length === 0) return WITHOUT_SOURCE.find((kind) => kinds.has(kind)) as Type;
  const byTask = facts.task === null ? null : typeOfTask(facts.task);
  if (byTask !== null) return byTask;
  if (source.some(({ status }) => status === "added") || names.length > 0) return "feat";
  return source.every(({ status }) => status === "deleted" || status === "renamed") ? "refactor" : "chore";
}

/** The verb that a task begins with decides; a word further on is a hint. */
function typeOfTask({ title, changes }: NonNullable<CommitFacts["task"]>): Type | null {
  const prefix = /^([a-z]+)(?:\([^)]*\))?!?:/.exec(title)?.[1];
  const named = WORDS.find(([, type]) => type === prefix);
  if (named !== undefined) return named[1];
  const [verb = ""] = title.split(/\s/);
  const texts = [verb, title, changes.join(" ")];
  for (const text of texts) {
    const found = WORDS.find(([pattern]) => pattern.test(text));
    if (found !== undefined) return found[1];
  }
  return null;
}

/** The innermost folder with a name of its own that all files share. */
function scopeOf(files: readonly FileChange[]): string | null {
  const folders = files.map(({ path }) => path.split("/").slice(0, -1));
  const [first = []] = folders;
  let shared = 0;
  while (shared < first.length && folders.every((one) => one[shared] === first[shared])) shared += 1;
  const names = first.slice(0, shared).map((name) => name.toLowerCase().replace(/^\./, ""));
  return names.findLast((name) => !GENERIC.test(name) && SCOPE.test(name)) ?? null;
}

function subjectOf({ task, files }: CommitFacts, names: readonly string[]): string {
  const title = printable(task?.title.replace(PREFIX, "") ?? "")
    .replace(/[\s.:;!?…]+$/, "")
    .trim();
  if (title !== "") return lowered(title);
  if (names.length === 0) return lowered(areaSubject(files));
  const shown = names.slice(0, NAMES_SHOWN);
  const rest = names.length - shown.length;
  if (rest > 0) shown.push(`${rest} more`);
  return shown.length === 1
    ? `add ${shown.join("")}`
    : `add ${shown.slice(0, -1).join(", ")} and ${shown.slice(-1).join("")}`;
}

/** "Add x" → "add x"; "README" and "OAuth" stay. */
function lowered(text: string): string {
  return /^[A-Z][a-z]+\b/.test(text) ? text.slice(0, 1).toLowerCase() + text.slice(1) : text;
}

/** Names that the diff defines and did not take away, outside of tests, in their order. */
function newNames(patch: string): readonly string[] {
  const added = new Set<string>();
  const removed = new Set<string>();
  let counts = true;
  for (const line of patch.split("\n", PATCH_LINES)) {
    const file = /^\+\+\+ b?\/?(\S+)/.exec(line)?.[1];
    if (file !== undefined) counts = kindOf(file) === "source";
    const [, sign, name] = (counts ? DEFINITION.exec(line) : null) ?? [];
    if (name !== undefined) (sign === "+" ? added : removed).add(name);
  }
  return [...added].filter((name) => !removed.has(name));
}
