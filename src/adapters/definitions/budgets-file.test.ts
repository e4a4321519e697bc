import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { NO_BUDGETS } from "../../domain/budget.ts";
import { BUDGET_LIMITS, budgetsSchema, parseBudgetsFile } from "./budgets-file.ts";

const GOOD = `unknown_price: allow
on_refusal: fail
at_cap: cut
estimate: worst
hold: 30s
keep: 30d
budgets:
  - { scope: global, window: month, limit: $500, warn: 80% }
  - { scope: tenant, window: day, limit: 50 }
  - { scope: tenant, name: acme, window: day, limit: "100.50", warn: $90 }
  - { scope: user, name: acme/ann, limit: 5 USD }
  - { scope: run, models: anthropic/*, warn: 0.25 }
`;

/** The lines of what is wrong, without the name of the file. */
function problems(text: string): readonly string[] {
  const parsed = parseBudgetsFile(text, "budgets.yaml");
  if (parsed.ok) throw new Error("it was accepted");
  expect(parsed.failure.code).toBe("invalid_config");
  return parsed.diagnostics.map(({ line, column, path, message, expected = "", suggestion = "" }) =>
    [`${line}:${column}`, path, message, expected, suggestion].join(" | "),
  );
}

describe("a budgets file", () => {
  it("is read", () => {
    const parsed = parseBudgetsFile(GOOD, "budgets.yaml");
    if (!parsed.ok) throw new Error(parsed.failure.message);
    const { budgets, ...rest } = parsed.value;
    expect(rest).toEqual({
      unknownPrice: "allow",
      onRefusal: "fail",
      atCap: "cut",
      estimate: "worst",
      holdMs: 30_000,
      keepMs: 30 * 86_400_000,
    });
    const usd = (dollars: number) => dollars * 1_000_000;
    const plain = { name: null, models: null, softMicros: null };
    expect(budgets).toEqual([
      { ...plain, scope: "global", window: "month", hardMicros: usd(500), softMicros: usd(400) },
      { ...plain, scope: "tenant", window: "day", hardMicros: usd(50) },
      {
        ...plain,
        scope: "tenant",
        name: "acme",
        window: "day",
        hardMicros: usd(100.5),
        softMicros: usd(90),
      },
      { ...plain, scope: "user", name: "acme/ann", window: "total", hardMicros: usd(5) },
      {
        ...plain,
        scope: "run",
        window: "total",
        models: "anthropic/*",
        hardMicros: null,
        softMicros: usd(0.25),
      },
    ]);
  });

  it("need say no more than its budgets", () => {
    const parsed = parseBudgetsFile("budgets: []\n", "budgets.yaml");
    expect(parsed).toMatchObject({ ok: true, value: NO_BUDGETS });
  });

  it.each([
    [
      "budgets:\n  - { scope: planet, limit: 1 }\n",
      '2:14 | budgets[0].scope | `"planet"` is not valid here | one of run, task, user, tenant, global | ',
    ],
    [
      "budgets:\n  - { scope: run, limt: 1 }\n",
      "2:19 | budgets[0].limt | there is no field `limt` here | one of scope, name, window, models, limit, warn | limit",
    ],
    [
      "budgets:\n  - scope: run\n    limit: -1\n",
      "3:12 | budgets[0].limit | `-1` is not valid here | US dollars, such as $2 or 0.50 | ",
    ],
    [
      "budgets:\n  - scope: run\n",
      "2:5 | budgets[0] | the budget limits nothing | `limit`, `warn` or both | ",
    ],
    [
      "budgets:\n  - { scope: run, limit: 1, warn: 2 }\n",
      "2:35 | budgets[0].warn | the soft cap lies above the limit, so it is never reached | at most 1 | ",
    ],
    [
      "budgets:\n  - { scope: run, warn: 80% }\n",
      "2:25 | budgets[0].warn | `80%` is not valid here | US dollars: there is no limit to take a share of | ",
    ],
    [
      "budgets:\n  - { scope: run, limit: 1, warn: 101% }\n",
      "2:35 | budgets[0].warn | `101%` is not valid here | 0% to 100% | ",
    ],
    [
      "budgets:\n  - { scope: global, name: all, limit: 1 }\n",
      "2:22 | budgets[0].name | a global budget is everybody's and has no name |  | ",
    ],
    [
      "budgets:\n  - { scope: user, name: ann, limit: 1 }\n",
      "2:26 | budgets[0].name | `ann` is no user | `tenant/user` | ",
    ],
    [
      "budgets:\n  - { scope: run, limit: 1 }\n  - { scope: run, limit: 2 }\n",
      "3:5 | budgets[1] | budgets[0] is for the same scope, name, window and models | each of them once | ",
    ],
    ["hold: 10ms\nbudgets: []\n", "1:7 | hold | `10ms` is not valid here | 1s to 1h | "],
    [
      "hold: soon\nbudgets: []\n",
      '1:7 | hold | `"soon"` is not valid here | a duration such as 60s, 10m or 90d | ',
    ],
    [
      "budgets:\n  - { scope: run, limit: 1, models: everything }\n",
      '2:37 | budgets[0].models | `"everything"` is not valid here | a pattern such as anthropic/* or openai/gpt-5.5 | ',
    ],
  ])("says what is wrong, and where: %j", (text, problem) => {
    expect(problems(text)).toEqual([problem]);
  });

  it("is refused when it is no YAML, or too large", () => {
    expect(problems("budgets: [\n")[0]).toMatch(/^\d+:\d+ /);
    expect(problems(`# ${"x".repeat(BUDGET_LIMITS.fileBytes)}\nbudgets: []\n`)[0]).toMatch(/^1:1 .*bytes/);
  });

  it("has a schema for editors that agrees", () => {
    const schema = new Ajv2020({ strict: false }).compile(budgetsSchema());
    expect(schema(parse(GOOD)), JSON.stringify(schema.errors)).toBe(true);
    expect(schema(parse("budgets: [{ scope: planet, limit: 1 }]"))).toBe(false);
  });
});
