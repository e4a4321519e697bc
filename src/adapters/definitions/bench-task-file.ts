import { z } from "zod";
import type { JsonObject } from "../../base/json.ts";
import type { Parsed } from "../../contracts/definitions.ts";
import type { BenchCheck, BenchTask, CheckRule } from "../../contracts/model-bench.ts";
import { newReport, type Places, type Report } from "./report.ts";
import { sourceText } from "./source.ts";
import { refused } from "./workflow-file.ts";
import { readYaml } from "./yaml.ts";
import { zodProblems } from "./zod-problems.ts";

const BENCH_LIMITS = { bytes: 1_048_576, tasks: 200, checks: 50, outputTokens: 32_768, weight: 100 } as const;

const text = z.string().min(1);
const texts = z.union([text, z.array(text).min(1)]);
const common = { weight: z.number().positive().max(BENCH_LIMITS.weight).default(1), what: text.optional() };
/** Inside the folder of the trial, on every system. */
const file = z
  .string()
  .regex(/^(?!\.)[\w.-]+(\/(?!\.)[\w.-]+)*$/, "a relative path of letters, digits, `.`, `_`, `-`");

const check = z.union([
  z.strictObject({ contains: texts, ...common }),
  z.strictObject({ lacks: texts, ...common }),
  z.strictObject({ matches: text, ...common }),
  z.strictObject({ order: z.array(text).min(2), ...common }),
  z.strictObject({ most_words: z.int().min(1), ...common }),
  z.strictObject({
    value: z.strictObject({
      at: text,
      equals: z.json().optional(),
      includes: z.json().optional(),
      count: z.int().min(0).optional(),
    }),
    ...common,
  }),
  z.strictObject({
    passes: z.strictObject({
      answer: z.enum(["code", "diff"]),
      file,
      files: z.record(file, z.string()),
      run: file,
    }),
    ...common,
  }),
]);

const shape = z.strictObject({
  stage: z.enum(["context", "retrieval", "plan", "execute", "review", "summarise"]),
  tasks: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "lower-case letters, digits and `-`"),
        title: text,
        system: text,
        prompt: text,
        max_output_tokens: z.int().min(1).max(BENCH_LIMITS.outputTokens).default(1_024),
        json: z.record(z.string(), z.json()).optional(),
        checks: z.array(check).min(1).max(BENCH_LIMITS.checks),
      }),
    )
    .min(1)
    .max(BENCH_LIMITS.tasks),
});

/** Tasks of one stage for the benchmark of models. */
export function parseBenchTasks(source: string, name: string): Parsed<readonly BenchTask[]> {
  const bytes = Buffer.byteLength(source);
  if (bytes > BENCH_LIMITS.bytes) {
    const problem = { file: name, line: 1, column: 1, path: "", message: `the file has ${bytes} bytes` };
    return refused([{ ...problem, expected: `at most ${BENCH_LIMITS.bytes}` }], "invalid_bench_task");
  }
  let places: Places | null = null;
  const report = newReport(name, sourceText(source), () => places);
  const document = readYaml(source, 0, report);
  if (document === null) return refused(report.errors, "invalid_bench_task");
  places = document.places;
  const parsed = shape.safeParse(document.value);
  if (!parsed.success) {
    for (const problem of zodProblems(parsed.error, document.value, shape)) report.error(problem);
    return refused(report.errors, "invalid_bench_task");
  }
  const { stage, tasks } = parsed.data;
  const value = tasks.map((task, index): BenchTask => {
    const { max_output_tokens: maxOutputTokens, json, checks, ...rest } = task;
    const read = checks.map((one, at) => readCheck(one, { report, path: ["tasks", index, "checks", at] }));
    return { ...rest, stage, maxOutputTokens, json: (json as JsonObject | undefined) ?? null, checks: read };
  });
  reportTwins(value, report);
  if (report.errors.length > 0) return refused(report.errors, "invalid_bench_task");
  return { ok: true, value, warnings: report.warnings };
}

interface At {
  readonly report: Report;
  readonly path: readonly (string | number)[];
}

function readCheck(given: z.output<typeof check>, at: At): BenchCheck {
  const rule = ruleOf(given, at);
  return { ...rule, weight: given.weight, what: given.what ?? nameOf(rule) };
}

function ruleOf(given: z.output<typeof check>, { report, path }: At): CheckRule {
  const list = (one: string | readonly string[]) => (typeof one === "string" ? [one] : one);
  if ("contains" in given) return { kind: "contains", texts: list(given.contains) };
  if ("lacks" in given) return { kind: "lacks", texts: list(given.lacks) };
  if ("order" in given) return { kind: "order", texts: given.order };
  if ("most_words" in given) return { kind: "words", most: given.most_words };
  if ("matches" in given) {
    const broken = patternProblem(given.matches);
    if (broken !== null) report.error({ path: [...path, "matches"], message: broken });
    return { kind: "matches", pattern: given.matches };
  }
  if ("passes" in given) {
    const { files, run } = given.passes;
    if (files[run] === undefined) {
      report.error({
        path: [...path, "passes", "run"],
        message: `\`${run}\` is not among the files`,
        expected: Object.keys(files).join(", "),
      });
    }
    return { kind: "passes", trial: given.passes };
  }
  const { at, equals, includes, count } = given.value;
  const asked = [equals, includes, count].filter((one) => one !== undefined).length;
  if (asked !== 1) {
    report.error({
      path: [...path, "value"],
      message: `${asked} things are asked of one value`,
      expected: "exactly one of equals, includes, count",
    });
  }
  return {
    kind: "value",
    at,
    ...(equals === undefined ? {} : { equals }),
    ...(includes === undefined ? {} : { includes }),
    ...(count === undefined ? {} : { count }),
  };
}

function patternProblem(pattern: string): string | null {
  try {
    new RegExp(pattern, "im");
    return null;
  } catch (error) {
    return `this is not a regular expression: ${(error as Error).message}`;
  }
}

function nameOf(rule: CheckRule): string {
  switch (rule.kind) {
    case "contains":
      return `names ${rule.texts.join(", ")}`;
    case "lacks":
      return `does not say ${rule.texts.join(", ")}`;
    case "matches":
      return `matches /${rule.pattern}/`;
    case "order":
      return `in order: ${rule.texts.join(", ")}`;
    case "words":
      return `at most ${rule.most} words`;
    case "value":
      return `${rule.at} is right`;
    case "passes":
      return `${rule.trial.run} passes`;
  }
}

function reportTwins(tasks: readonly BenchTask[], report: Report): void {
  const seen = new Set<string>();
  for (const [index, { id }] of tasks.entries()) {
    if (seen.has(id))
      report.error({ path: ["tasks", index, "id"], message: `the id \`${id}\` is there twice` });
    seen.add(id);
  }
}
