import { formatDuration } from "../../base/duration.ts";
import type { BenchStage, BenchTask } from "../../contracts/model-bench.ts";
import type { BenchCall, BenchResult } from "./bench-models.ts";

/** How one model did in one stage. Times in ms, over the calls that were answered; `null` when none was. */
export interface BenchRow {
  readonly stage: BenchStage;
  readonly model: string;
  readonly calls: number;
  readonly failed: number;
  /** Mean score of all calls, 0 to 1. */
  readonly quality: number;
  /** Calls that passed every check. */
  readonly perfect: number;
  readonly firstTokenP50: number | null;
  readonly firstTokenP95: number | null;
  readonly totalP50: number | null;
  readonly totalP95: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Micro-US-dollars; `null` when the price of a call is unknown. */
  readonly costMicros: number | null;
}

export interface BenchReport extends BenchResult {
  /** RFC 3339. */
  readonly startedAt: string;
  readonly version: string;
  readonly models: readonly string[];
  readonly repeat: number;
  readonly tasks: readonly Pick<BenchTask, "id" | "stage" | "title">[];
  readonly rows: readonly BenchRow[];
  /** The best of each stage: by quality, then cost, then time. */
  readonly best: readonly { readonly stage: BenchStage; readonly model: string }[];
}

const STAGES: readonly BenchStage[] = ["context", "retrieval", "plan", "execute", "review", "summarise"];
const VARIABLES: Readonly<Record<BenchStage, string>> = {
  context: "CONTEXT_MODEL",
  retrieval: "RETRIEVAL_MODEL",
  plan: "PLAN_MODEL",
  execute: "EXECUTION_MODEL",
  review: "REVIEW_MODEL",
  summarise: "SUMMARISE_MODEL",
};

export function benchReport(
  result: BenchResult,
  about: Pick<BenchReport, "startedAt" | "version" | "models" | "repeat"> & {
    readonly tasks: readonly BenchTask[];
  },
): BenchReport {
  const rows = STAGES.flatMap((stage) =>
    about.models.flatMap((model) => {
      const calls = result.calls.filter((call) => call.stage === stage && call.model === model);
      return calls.length === 0 ? [] : [rowOf(stage, model, calls)];
    }),
  );
  const best = STAGES.flatMap((stage) => {
    const [first] = rows.filter((row) => row.stage === stage).toSorted(byMerit);
    return first === undefined || first.quality === 0 ? [] : [{ stage, model: first.model }];
  });
  const tasks = about.tasks.map(({ id, stage, title }) => ({ id, stage, title }));
  return { ...about, ...result, tasks, rows, best };
}

function rowOf(stage: BenchStage, model: string, calls: readonly BenchCall[]): BenchRow {
  const answered = calls.filter((call) => call.failure === null);
  const sorted = (of: (call: BenchCall) => number | null) =>
    answered.map((call) => of(call) ?? 0).toSorted((a, b) => a - b);
  const first = sorted((call) => call.firstTokenMs);
  const total = sorted((call) => call.ms);
  const sum = (of: (call: BenchCall) => number) => calls.reduce((all, call) => all + of(call), 0);
  return {
    stage,
    model,
    calls: calls.length,
    failed: calls.length - answered.length,
    quality: sum((call) => call.score) / calls.length,
    perfect: calls.filter((call) => call.score === 1).length,
    firstTokenP50: quantile(first, 0.5),
    firstTokenP95: quantile(first, 0.95),
    totalP50: quantile(total, 0.5),
    totalP95: quantile(total, 0.95),
    inputTokens: sum(({ usage }) => usage.input + usage.cacheRead + usage.cacheWrite),
    outputTokens: sum(({ usage }) => usage.output + usage.reasoning),
    costMicros: calls.some((call) => call.costMicros === null) ? null : sum((call) => call.costMicros ?? 0),
  };
}

/** The nearest rank: of few values the 95th percentile is the largest. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

function byMerit(a: BenchRow, b: BenchRow): number {
  const cost = (row: BenchRow) => row.costMicros ?? Number.MAX_SAFE_INTEGER;
  const time = (row: BenchRow) => row.totalP50 ?? Number.MAX_SAFE_INTEGER;
  return b.quality - a.quality || cost(a) - cost(b) || time(a) - time(b);
}

/** The report for people. */
export function benchMarkdown(report: BenchReport): string {
  const { models, tasks, repeat, rows } = report;
  const times = repeat === 1 ? "once" : `${repeat} times`;
  const lines = [
    "# Models by stage",
    "",
    `${report.startedAt}, agent-runner ${report.version}: ${models.length} models, ${tasks.length} tasks, each ${times}; ` +
      `${report.calls.length} calls in ${formatDuration(report.ms)}, ${money(report.costMicros)} by known prices.`,
    "",
    "Quality is the mean share of checks passed; times are ms; first: to the first token.",
  ];
  for (const stage of STAGES) {
    const own = rows.filter((row) => row.stage === stage).toSorted(byMerit);
    if (own.length > 0) lines.push("", `## ${stage}`, "", ...stageTable(own));
  }
  if (report.best.length > 0)
    lines.push("", "## Best of each stage", "", "```sh", ...report.best.map(setting), "```");
  return `${[...lines, ...shortcomings(report), ...failures(report), ...skips(report)].join("\n")}\n`;
}

function setting({ stage, model }: BenchReport["best"][number]): string {
  return `${VARIABLES[stage]}=${model}`;
}

function stageTable(rows: readonly BenchRow[]): readonly string[] {
  const ms = (value: number | null) => (value === null ? "–" : String(Math.round(value)));
  return [
    "| model | quality | perfect | failed | first p50 | first p95 | total p50 | total p95 | tokens in | out | cost |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
    ...rows.map((row) => {
      const cells = [
        row.model,
        row.quality.toFixed(2),
        `${row.perfect}/${row.calls}`,
        row.failed === 0 ? "" : String(row.failed),
        ms(row.firstTokenP50),
        ms(row.firstTokenP95),
        ms(row.totalP50),
        ms(row.totalP95),
        String(row.inputTokens),
        String(row.outputTokens),
        row.costMicros === null ? "unknown" : money(row.costMicros),
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  ];
}

/** What was missed most: where to look when a score is low. */
function shortcomings({ calls, models }: BenchReport): readonly string[] {
  const missed = new Map<string, { line: string; count: number }>();
  for (const call of calls.filter((one) => one.failure === null)) {
    for (const check of call.checks.filter((one) => !one.passed)) {
      const key = `${call.task} ${check.what}`;
      const known = missed.get(`${call.model} ${key}`);
      const detail = check.detail === "" ? "" : ` (${cell(check.detail)})`;
      if (known === undefined) {
        missed.set(`${call.model} ${key}`, {
          line: `${call.model}: ${call.task}: ${cell(check.what)}${detail}`,
          count: 1,
        });
      } else known.count += 1;
    }
  }
  const order = (line: string) => models.findIndex((model) => line.startsWith(`${model}:`));
  const found = [...missed.values()].toSorted((a, b) => order(a.line) - order(b.line));
  if (found.length === 0) return [];
  return [
    "",
    "## Checks that were missed",
    "",
    ...found.map(({ line, count }) => `- ${line}${count > 1 ? `, ${count} times` : ""}`),
  ];
}

function failures({ calls }: BenchReport): readonly string[] {
  const failed = calls.flatMap((call) => (call.failure === null ? [] : [{ call, failure: call.failure }]));
  if (failed.length === 0) return [];
  const lines = failed.map(
    ({ call, failure }) =>
      `- ${call.model}: ${call.task}, round ${call.round}: ${failure.code} after ${call.attempts.length} attempts: ${cell(failure.message)}`,
  );
  return ["", "## Calls that failed", "", ...lines];
}

function skips({ skipped }: BenchReport): readonly string[] {
  if (skipped.length === 0) return [];
  return ["", "## Not asked", "", ...skipped.map((one) => `- ${one.model}: ${one.calls} calls, ${one.why}`)];
}

const MAX_CELL = 300;
const MICROS = 1_000_000;

/** One line, whatever a model or a provider said. */
function cell(text: string): string {
  const line = text
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .replaceAll("|", "\\|")
    .trim();
  return line.length > MAX_CELL ? `${line.slice(0, MAX_CELL)}…` : line;
}

function money(micros: number): string {
  return `$${(micros / MICROS).toFixed(micros > 0 && micros < 10_000 ? 6 : 4)}`;
}
