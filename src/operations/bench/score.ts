import { isJsonObject, type Json } from "../../base/json.ts";
import type { BenchCheck, BenchTask, CheckRule, Trier } from "../../contracts/model-bench.ts";

export interface CheckResult {
  readonly what: string;
  readonly passed: boolean;
  readonly weight: number;
  /** Why not, where there is more to say than what was asked. */
  readonly detail: string;
}

export interface Score {
  /** Share of the weight that passed, 0 to 1. */
  readonly score: number;
  readonly checks: readonly CheckResult[];
}

/** The score of an answer: the same for the same answer, on every machine. */
export async function scoreAnswer(
  task: Pick<BenchTask, "checks">,
  answer: string,
  by: { readonly trier: Trier; readonly signal: AbortSignal },
): Promise<Score> {
  const checks: CheckResult[] = [];
  for (const check of task.checks) checks.push(await judge(check, answer, by));
  return { checks, score: share(checks) };
}

/** A call that failed has answered nothing. */
export function scoreNothing(task: Pick<BenchTask, "checks">): Score {
  const checks = task.checks.map(({ what, weight }) => ({
    what,
    weight,
    passed: false,
    detail: "no answer",
  }));
  return { checks, score: 0 };
}

function share(checks: readonly CheckResult[]): number {
  const sum = (of: readonly CheckResult[]) => of.reduce((total, one) => total + one.weight, 0);
  return sum(checks.filter((one) => one.passed)) / sum(checks);
}

async function judge(
  check: BenchCheck,
  answer: string,
  by: { readonly trier: Trier; readonly signal: AbortSignal },
): Promise<CheckResult> {
  const { what, weight } = check;
  if (check.kind !== "passes") {
    const problem = problemOf(check, answer);
    return { what, weight, passed: problem === null, detail: problem ?? "" };
  }
  const code = fenced(answer) ?? answer;
  const tried = await by.trier.try(check.trial, code.endsWith("\n") ? code : `${code}\n`, by.signal);
  return { what, weight, passed: tried.passed, detail: tried.passed ? "" : tried.detail };
}

type TextRule = Exclude<CheckRule, { kind: "passes" }>;

/** `null` when the rule is kept. */
function problemOf(rule: TextRule, answer: string): string | null {
  const said = answer.toLowerCase();
  const has = (text: string) => said.includes(text.toLowerCase());
  switch (rule.kind) {
    case "contains": {
      const missing = rule.texts.filter((text) => !has(text));
      return missing.length === 0 ? null : `missing: ${missing.join(", ")}`;
    }
    case "lacks": {
      const there = rule.texts.filter(has);
      return there.length === 0 ? null : `said: ${there.join(", ")}`;
    }
    case "matches":
      return new RegExp(rule.pattern, "im").test(answer) ? null : "no match";
    case "order":
      return outOfOrder(rule.texts, said);
    case "words": {
      const words = answer.split(/\s+/).filter((word) => word !== "").length;
      return words <= rule.most ? null : `${words} words`;
    }
    case "value":
      return valueProblem(rule, answer);
  }
}

function outOfOrder(texts: readonly string[], said: string): string | null {
  let at = -1;
  for (const text of texts) {
    const found = said.indexOf(text.toLowerCase());
    if (found < 0) return `missing: ${text}`;
    if (found <= at) return `too early: ${text}`;
    at = found;
  }
  return null;
}

function valueProblem(rule: Extract<TextRule, { kind: "value" }>, answer: string): string | null {
  let value: Json | undefined;
  try {
    value = JSON.parse(fenced(answer) ?? answer) as Json;
  } catch {
    return "not JSON";
  }
  for (const key of rule.at === "." ? [] : rule.at.split(".")) value = member(value, key);
  if (value === undefined) return `nothing at ${rule.at}`;
  if (rule.count !== undefined) {
    const count = Array.isArray(value) ? value.length : -1;
    return count === rule.count ? null : `${count < 0 ? "not a list" : `${count} members`}`;
  }
  if (rule.includes !== undefined) return includes(value, rule.includes) ? null : `got ${shown(value)}`;
  return same(value, rule.equals as Json) ? null : `got ${shown(value)}`;
}

function member(value: Json | undefined, key: string): Json | undefined {
  if (Array.isArray(value)) return (value as readonly Json[])[Number(key)];
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function includes(value: Json, wanted: Json): boolean {
  if (Array.isArray(value)) return (value as readonly Json[]).some((one) => same(one, wanted));
  return (
    typeof value === "string" &&
    typeof wanted === "string" &&
    value.toLowerCase().includes(wanted.toLowerCase())
  );
}

/** Words of models differ in case and in blanks around them. */
function same(a: Json, b: Json): boolean {
  const plain = (one: Json) => (typeof one === "string" ? one.trim().toLowerCase() : one);
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

const SHOWN = 60;

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** The first block between fences; models put words around what they were asked for. */
function fenced(answer: string): string | null {
  return /^[ \t]*```[^\n]*\n(.*?)^[ \t]*```/ms.exec(answer)?.[1] ?? null;
}
