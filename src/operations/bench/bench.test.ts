import { expect, test } from "vitest";
import { realClock } from "../../../tests/support/real-clock.ts";
import { parseScript } from "../../adapters/models/script/parse.ts";
import { scriptedProvider } from "../../adapters/models/scripted/provider.ts";
import type { BenchTask, CheckRule, Trier } from "../../contracts/model-bench.ts";
import { createModelGateway } from "../../gateway/gateway.ts";
import { type BenchCall, type BenchRequest, benchModels } from "./bench-models.ts";
import { benchMarkdown, benchReport } from "./report.ts";
import { scoreAnswer } from "./score.ts";

const { signal } = new AbortController();
/** Says what it was given: whether the right text reaches it is what these tests ask. */
const trier: Trier = {
  try: async (trial, answer) => ({ passed: answer === trial.files.wanted, detail: JSON.stringify(answer) }),
};

async function judged(rule: CheckRule, answer: string): Promise<string> {
  const task = { checks: [{ ...rule, weight: 1, what: "it" }] };
  const { score, checks } = await scoreAnswer(task, answer, { trier, signal });
  expect(score).toBe(checks[0]?.passed ? 1 : 0);
  return checks[0]?.passed ? "passed" : (checks[0]?.detail ?? "");
}

const passes = (wanted: string): CheckRule => ({
  kind: "passes",
  trial: { answer: "code", file: "a", run: "a", files: { wanted } },
});
const value = (at: string, of: { equals?: never[] | string | number; includes?: string; count?: number }) =>
  ({ kind: "value", at, ...of }) as CheckRule;

test.each<[string, CheckRule, string, string]>([
  ["all texts, whatever the case", { kind: "contains", texts: ["one", "TWO"] }, "Two and One", "passed"],
  ["a missing text", { kind: "contains", texts: ["one", "two"] }, "One", "missing: two"],
  ["a forbidden text", { kind: "lacks", texts: ["secret"] }, "the SECRET", "said: secret"],
  ["a pattern, on any line", { kind: "matches", pattern: "^b$" }, "a\nB\nc", "passed"],
  ["no match", { kind: "matches", pattern: "^b$" }, "abc", "no match"],
  ["an order", { kind: "order", texts: ["a1", "b2", "c3"] }, "A1 b2 c3", "passed"],
  ["a wrong order", { kind: "order", texts: ["b2", "a1"] }, "a1 b2", "too early: a1"],
  ["an order with a hole", { kind: "order", texts: ["a1", "x"] }, "a1", "missing: x"],
  ["few words", { kind: "words", most: 2 }, " two  words ", "passed"],
  ["many words", { kind: "words", most: 2 }, "these are three", "3 words"],
  ["a value", value("a.1.b", { equals: "Yes" }), '{"a":[0,{"b":" yes "}]}', "passed"],
  ["another value", value("a", { equals: 2 }), '{"a":3}', "got 3"],
  ["a list's member", value("a", { includes: "x" }), '{"a":["y","X"]}', "passed"],
  ["a text's part", value("a", { includes: "drop" }), '{"a":"We DROP it"}', "passed"],
  ["no such part", value("a", { includes: "drop" }), '{"a":5}', "got 5"],
  ["a number of members", value("a", { count: 2 }), '{"a":[1,2]}', "passed"],
  ["another number", value("a", { count: 2 }), '{"a":[1]}', "1 members"],
  ["no list", value("a", { count: 2 }), '{"a":1}', "not a list"],
  ["the whole", value(".", { count: 1 }), "[1]", "passed"],
  ["nothing there", value("b", { equals: 1 }), '{"a":1}', "nothing at b"],
  ["what every object has", value("constructor", { equals: 1 }), "{}", "nothing at constructor"],
  ["no JSON", value("a", { equals: 1 }), "sure!", "not JSON"],
  ["JSON between fences", value("a", { equals: 1 }), 'Here:\n```json\n{"a":1}\n```\nDone.', "passed"],
  ["code between fences", passes("x = 1;\n"), "Here:\n```js\nx = 1;\n```\nand\n```\ny\n```", "passed"],
  ["code without fences", passes("x = 1;\n"), "x = 1;", "passed"],
  ["code that fails", passes("x"), "y", '"y\\n"'],
])("judges %s", async (_, rule, answer, expected) => {
  expect(await judged(rule, answer)).toBe(expected);
});

test("a score is the share of the weight that passed", async () => {
  const check = (text: string, weight: number) => ({
    kind: "contains" as const,
    texts: [text],
    weight,
    what: text,
  });
  const { score } = await scoreAnswer({ checks: [check("a", 3), check("b", 1)] }, "a", { trier, signal });
  expect(score).toBe(0.75);
});

const script = parseScript(
  `
name: s
agents:
  good: [{ times: always, text: "yes", usage: { input: 1000, output: 100 } }]
  bad: [{ times: always, text: "no | way", usage: { input: 1000, output: 100 } }]
  dead: [{ fault: auth }]
`,
  "s.yaml",
);
if (!script.ok) throw new Error(script.failure.message);
const scripts = [script.value];
const usd = (input: number, output: number) => {
  const micros = { input: input * 1_000_000, output: output * 1_000_000 };
  return { ...micros, cacheRead: micros.input, cacheWrite: micros.input };
};
const MODELS = ["scripted/s/good", "scripted/s/bad"];

/** A model that is not configured, and that nobody has used, is one whose price the gateway does not tell. */
function bench(change: Partial<BenchRequest> = {}, configured = change.models ?? MODELS) {
  const models = change.models ?? MODELS;
  const gateway = createModelGateway({
    providers: [{ provider: scriptedProvider({ scripts, clock: realClock }), onlyWhenNamed: true }],
    howToConfigure: "",
    default: configured.join(","),
    clock: realClock,
    random: Math.random,
    prices: Object.fromEntries(MODELS.map((name) => [name, usd(1, 10)])),
  });
  const task = (id: string, stage: BenchTask["stage"]): BenchTask => ({
    id,
    stage,
    title: id,
    system: "s".repeat(2_000),
    prompt: "p".repeat(2_000),
    maxOutputTokens: 100,
    json: null,
    checks: [{ kind: "contains", texts: ["yes"], weight: 1, what: "says yes" }],
  });
  const tasks = [task("one", "plan"), task("two", "review")];
  const request: BenchRequest = { tasks, models, repeat: 2, maxCostMicros: null, signal, ...change };
  return benchModels({ gateway, clock: realClock, trier }, request).then((result) => ({
    result,
    report: benchReport(result, {
      startedAt: "2026-11-21T00:00:00.000Z",
      version: "1.2.3",
      models,
      repeat: request.repeat,
      tasks: request.tasks,
    }),
  }));
}

const place = ({ round, task, model }: BenchCall) => `${round} ${task} ${model.slice(-4)}`;

test("asks the models by turns, and reports quality, times, usage and cost by stage", async () => {
  const heard: BenchCall[] = [];
  const { result, report } = await bench({ onCall: (call) => heard.push(call) });
  expect(heard).toEqual(result.calls);
  expect(result.calls.slice(0, 5).map(place)).toEqual([
    "1 one good",
    "1 one /bad",
    "1 two good",
    "1 two /bad",
    "2 one good",
  ]);
  // 1,000 × $1 and 100 × $10 per million.
  expect(result.costMicros).toBe(8 * 2_000);
  expect(report.rows).toHaveLength(4);
  expect(report.rows[0]).toMatchObject({
    stage: "plan",
    model: "scripted/s/good",
    calls: 2,
    failed: 0,
    quality: 1,
    perfect: 2,
    inputTokens: 2_000,
    outputTokens: 200,
    costMicros: 4_000,
  });
  expect(report.rows[0]?.totalP95).toBeGreaterThanOrEqual(
    report.rows[0]?.totalP50 ?? Number.POSITIVE_INFINITY,
  );
  expect(report.best).toEqual([
    { stage: "plan", model: "scripted/s/good" },
    { stage: "review", model: "scripted/s/good" },
  ]);
  const markdown = benchMarkdown(report);
  expect(markdown).toContain("PLAN_MODEL=scripted/s/good\nREVIEW_MODEL=scripted/s/good");
  expect(markdown).toContain("- scripted/s/bad: one: says yes (missing: yes), 2 times");
  expect(markdown).toMatch(
    /\| scripted\/s\/good \| 1\.00 \| 2\/2 \| {2}\| \d+ \|.*\| 2000 \| 200 \| \$0\.004000 \|/,
  );
});

test("shows calls that failed, and counts them as nothing", async () => {
  const { report } = await bench({ models: ["scripted/s/dead", "scripted/s/good"], repeat: 1 });
  const dead = report.rows.find((row) => row.model.endsWith("dead"));
  expect(dead).toMatchObject({ calls: 1, failed: 1, quality: 0, firstTokenP50: null, totalP95: null });
  expect(benchMarkdown(report)).toMatch(
    /## Calls that failed\n\n- scripted\/s\/dead: one, round 1: model_auth after 1 attempts: /,
  );
  expect(report.best.every((one) => one.model.endsWith("good"))).toBe(true);
});

test("never spends more than allowed: it stops before the call that could", async () => {
  // A call may cost 1,000 + 1,000: five fit into 10,500, and what is left over is not spent.
  const { result } = await bench({ maxCostMicros: 10_500 });
  expect(result.calls).toHaveLength(5);
  expect(result.costMicros).toBe(10_000);
  expect(result.skipped.map(({ calls, why }) => `${calls} ${why}`)).toEqual([
    "2 --max-cost is reached",
    "1 --max-cost is reached",
  ]);
});

test("asks no model of unknown price when there is a limit, and says so", async () => {
  const { result, report } = await bench({ maxCostMicros: 1_000_000, repeat: 1 }, ["scripted/s/good"]);
  expect(result.calls.map(place)).toEqual(["1 one good", "1 two good"]);
  expect(benchMarkdown(report)).toContain(
    "- scripted/s/bad: 2 calls, its price is unknown, so --max-cost could not be kept",
  );
});

test("stops when it is told to, and says what was not asked", async () => {
  const stop = new AbortController();
  const { result } = await bench({ signal: stop.signal, onCall: () => stop.abort() });
  expect(result.calls).toHaveLength(1);
  expect(result.skipped.reduce((sum, one) => sum + one.calls, 0)).toBe(7);
  expect(result.skipped[0]?.why).toBe("it was stopped");
});
