import type { RepoContext } from "../../contracts/repo-context.ts";
import { FailureError } from "../../domain/errors.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import { configOf, quietly } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { absolute } from "../here.ts";
import { readTask } from "../inputs.ts";
import { table } from "../terminal.ts";
import { plain } from "../text.ts";

interface Options {
  readonly repo: string;
  readonly task: string;
  readonly budget: number;
  readonly ref?: string;
  readonly maxFiles?: number;
  readonly map?: boolean;
}

const BUDGET = 6_000;
const MOST_TOKENS = 10_000_000;
const MOST_FILES = 100_000;

export function addContext({ program, act }: Cli): void {
  program
    .command("context")
    .description("the files of a repository that matter for a task, ranked, as an agent is shown them")
    .option("--repo <path>", "a git repository", ".")
    .requiredOption("--task <text>", "what is wanted, or @FILE")
    .option(
      "--budget <tokens>",
      "upper bound of the map, in estimated tokens",
      wholeNumber(1, MOST_TOKENS),
      BUDGET,
    )
    .option("--ref <ref>", "a branch, tag or commit instead of the work tree")
    .option("--max-files <n>", "at most so many files", wholeNumber(1, MOST_FILES))
    .option("--map", "print the map itself, as a model sees it")
    .action(act(context));
}

async function context({ options, common, terminal }: Call<Options>): Promise<number> {
  const { ref, maxFiles } = options;
  const task = await readTask(options.task);
  const config = configOf(common, quietly());
  const { rankContext } = await import("../../app/rank-context.ts");
  const ranked = await rankContext(config, {
    repo: absolute(options.repo),
    task,
    budgetTokens: options.budget,
    ...(ref === undefined ? {} : { ref }),
    ...(maxFiles === undefined ? {} : { maxFiles }),
  });
  if (!ranked.ok) throw new FailureError(ranked.failure);
  terminal.result(toWire(ranked.value), () =>
    options.map ? plain(ranked.value.text) : listText(ranked.value),
  );
  return EXIT.ok;
}

function toWire(context: RepoContext): object {
  const { files, text, tokens, filesSeen, filesSkipped, commitsSeen, ms } = context;
  return {
    files,
    text,
    tokens,
    budget_tokens: context.budgetTokens,
    files_seen: filesSeen,
    files_skipped: filesSkipped,
    commits_seen: commitsSeen,
    cache_hits: context.cacheHits,
    blobs_read: context.blobsRead,
    ms,
  };
}

function listText(context: RepoContext): string {
  const rows = context.files.map((file) => {
    const reasons = Object.entries(file.reasons)
      .sort(([, a], [, b]) => b - a)
      .map(([name, share]) => `${name} ${share.toFixed(2)}`);
    return [file.score.toFixed(3), plain(file.path), String(file.tokens), reasons.join(", ")];
  });
  const { tokens, budgetTokens, filesSeen, commitsSeen, ms } = context;
  const foot = `${context.files.length} of ${filesSeen} files, ${tokens} of ${budgetTokens} tokens, ${commitsSeen} commits read, ${Math.round(ms)} ms`;
  return `${table([["SCORE", "FILE", "TOKENS", "WHY"], ...rows])}\n\n${foot}`;
}
