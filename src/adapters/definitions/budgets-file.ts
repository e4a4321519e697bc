import { z } from "zod";
import { parseDuration } from "../../base/duration.ts";
import type { Parsed } from "../../contracts/definitions.ts";
import {
  BUDGET_SCOPES,
  BUDGET_WINDOWS,
  type Budget,
  type BudgetSettings,
  NO_BUDGETS,
} from "../../domain/budget.ts";
import { parseUsd } from "../../domain/money.ts";
import { milliseconds } from "./normalise.ts";
import { newReport, type Path, type Places, type Report } from "./report.ts";
import { money } from "./shape.ts";
import { sourceText } from "./source.ts";
import { refused } from "./workflow-file.ts";
import { readYaml } from "./yaml.ts";
import { zodProblems } from "./zod-problems.ts";

export const BUDGET_LIMITS = {
  fileBytes: 262_144,
  budgets: 1_000,
  nameChars: 200,
  shortestHoldMs: 1_000,
  longestHoldMs: 3_600_000,
} as const;

const want = (expected: string) => ({ error: expected });
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, want(`one of ${values.join(", ")}`));
const DURATION = "a duration such as 60s, 10m or 90d";
const duration = z.string(want(DURATION)).refine((text) => parseDuration(text) !== null, want(DURATION));
const PATTERN = "a pattern such as anthropic/* or openai/gpt-5.5";
const PERCENT = /^(\d{1,3})\s*%$/;

const budgetShape = z.strictObject(
  {
    scope: oneOf(BUDGET_SCOPES).describe("Whose spending counts, the narrowest first."),
    name: z
      .string(want("a name"))
      .min(1, want("a name"))
      .max(BUDGET_LIMITS.nameChars, want(`a name of at most ${BUDGET_LIMITS.nameChars} characters`))
      .optional()
      .describe("Whose it is: a tenant, `tenant/user`, a run. Absent: each has one like it."),
    window: oneOf(BUDGET_WINDOWS)
      .default("total")
      .describe("How long spending counts, in UTC; `total` never resets."),
    models: z
      .string(want(PATTERN))
      .regex(/^[^/\s*]+\/([^\s*]+\*?|\*)$/, want(PATTERN))
      .optional()
      .describe("Only calls to these models count."),
    limit: money.optional().describe("The hard cap: nothing is sent that might go beyond."),
    warn: z
      .union([money, z.string().regex(PERCENT)], want("US dollars, or a share of the limit such as 80%"))
      .optional()
      .describe("The soft cap: said once when it is crossed."),
  },
  want("a budget: a mapping with `scope` and `limit`"),
);

const fileShape = z.strictObject(
  {
    unknown_price: oneOf(["deny", "allow"]).optional().describe("What is done with models of unknown price."),
    on_refusal: oneOf(["cheaper", "fail"])
      .optional()
      .describe("When a model does not fit: ask a cheaper one?"),
    at_cap: oneOf(["finish", "cut"]).optional().describe("When an answer outgrows what can be reserved."),
    estimate: oneOf(["p95", "worst"]).optional().describe("How much output is reserved."),
    hold: duration.optional().describe("After how long the hold of a dead process is given up; 60s."),
    keep: duration.optional().describe("How long each call's entry is kept; 90d."),
    budgets: z
      .array(budgetShape, want("a list of budgets"))
      .max(BUDGET_LIMITS.budgets, want(`at most ${BUDGET_LIMITS.budgets} budgets`)),
  },
  want("a mapping with `budgets`"),
);

type BudgetShape = z.infer<typeof budgetShape>;

/** JSON Schema of a budgets file, for editors. */
export function budgetsSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(fileShape, { io: "input", unrepresentable: "any" }),
    title: "agent-runner budgets",
  };
}

/** The settings of a budgets file, or `invalid_config` with every mistake's line and column. */
export function parseBudgetsFile(text: string, file: string): Parsed<BudgetSettings> {
  const bytes = Buffer.byteLength(text);
  if (bytes > BUDGET_LIMITS.fileBytes) {
    const expected = `at most ${BUDGET_LIMITS.fileBytes}`;
    const message = `the file has ${bytes} bytes`;
    return refused([{ file, line: 1, column: 1, path: "", message, expected }], "invalid_config");
  }
  let places: Places | null = null;
  const report = newReport(file, sourceText(text), () => places);
  const document = readYaml(text, 0, report);
  if (document === null) return refused(report.errors, "invalid_config");
  places = document.places;
  const shape = fileShape.safeParse(document.value);
  if (!shape.success) {
    for (const problem of zodProblems(shape.error, document.value, fileShape)) report.error(problem);
    return refused(report.errors, "invalid_config");
  }
  const { budgets, hold, keep, unknown_price, on_refusal, at_cap, estimate } = shape.data;
  const read = budgets.map((written, index) => budgetOf(written, ["budgets", index], report));
  reportTwins(read, report);
  const holdMs = hold === undefined ? NO_BUDGETS.holdMs : milliseconds(hold);
  if (holdMs < BUDGET_LIMITS.shortestHoldMs || holdMs > BUDGET_LIMITS.longestHoldMs) {
    report.error({ path: ["hold"], message: `\`${hold}\` is not valid here`, expected: "1s to 1h" });
  }
  if (report.errors.length > 0) return refused(report.errors, "invalid_config");
  const value: BudgetSettings = {
    budgets: read,
    unknownPrice: unknown_price ?? NO_BUDGETS.unknownPrice,
    onRefusal: on_refusal ?? NO_BUDGETS.onRefusal,
    atCap: at_cap ?? NO_BUDGETS.atCap,
    estimate: estimate ?? NO_BUDGETS.estimate,
    holdMs,
    keepMs: keep === undefined ? NO_BUDGETS.keepMs : milliseconds(keep),
  };
  return { ok: true, value, warnings: report.warnings };
}

function budgetOf(written: BudgetShape, path: Path, report: Report): Budget {
  const { scope, name, window, models, limit, warn } = written;
  const hardMicros = limit === undefined ? null : parseUsd(limit);
  const softMicros = warn === undefined ? null : softCap(warn, hardMicros);
  if (limit === undefined && warn === undefined) {
    report.error({ path, message: "the budget limits nothing", expected: "`limit`, `warn` or both" });
  }
  if (warn !== undefined && softMicros === null) {
    const expected = hardMicros === null ? "US dollars: there is no limit to take a share of" : "0% to 100%";
    report.error({ path: [...path, "warn"], message: `\`${warn}\` is not valid here`, expected });
  }
  if (softMicros !== null && hardMicros !== null && softMicros > hardMicros) {
    const message = "the soft cap lies above the limit, so it is never reached";
    report.error({ path: [...path, "warn"], message, expected: `at most ${limit}` });
  }
  if (scope === "global" && name !== undefined) {
    const message = "a global budget is everybody's and has no name";
    report.error({ path: [...path, "name"], message, atKey: true });
  }
  if (scope === "user" && name !== undefined && !/^[^/]*\/.+$/.test(name)) {
    report.error({ path: [...path, "name"], message: `\`${name}\` is no user`, expected: "`tenant/user`" });
  }
  return { scope, name: name ?? null, window, models: models ?? null, hardMicros, softMicros };
}

function softCap(warn: string | number, hardMicros: number | null): number | null {
  const [, percent] = PERCENT.exec(String(warn)) ?? [];
  if (percent === undefined) return parseUsd(warn);
  return hardMicros === null || Number(percent) > 100
    ? null
    : Math.floor((hardMicros * Number(percent)) / 100);
}

/** Two of a kind would hold both, which nobody means. */
function reportTwins(budgets: readonly Budget[], report: Report): void {
  const seen = new Map<string, number>();
  for (const [index, { scope, name, window, models }] of budgets.entries()) {
    const key = JSON.stringify([scope, name, window, models]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else {
      const message = `budgets[${first}] is for the same scope, name, window and models`;
      report.error({ path: ["budgets", index], message, expected: "each of them once" });
    }
  }
}
