import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Desk } from "../support/cli.ts";

const desk = new Desk();
afterAll(() => desk.close());

const BUDGETS = `
budgets:
  - { scope: global, window: month, limit: $500, warn: 80% }
  - { scope: tenant, window: day, limit: $50 }
`;

it("tells what was spent and what is left, for people and as JSON", async () => {
  const file = join(desk.root, "budgets.yaml");
  writeFileSync(file, BUDGETS);
  const env = { AGENT_RUNNER_BUDGETS: file };
  const shown = await desk.run(["spend"], { env });
  expect(shown.stderr).toBe("");
  expect(shown.stdout).toContain("global: no call to a model was made");
  expect(shown.stdout).toMatch(/global\s+month\s+\$500\.00\s+\$0\.00/);
  expect(shown.stdout).toMatch(/each tenant\s+day\s+\$50\.00/);
  const json = await desk.run(["spend", "--scope", "tenant:acme", "--since", "24h", "--json"], { env });
  expect(JSON.parse(json.stdout)).toMatchObject({
    spend: { scope: "tenant:acme", total: { calls: 0, spent_usd: 0 } },
    budgets: {
      budgets: [
        { scope: "global", limit_usd: 500, warn_usd: 400 },
        { scope: "tenant", name: null },
      ],
    },
  });
  const wrong = await desk.run(["spend", "--scope", "planet"], { env });
  expect(wrong.code).not.toBe(0);
  expect(wrong.stderr).toContain('scope is "planet"; expected global');
});

it("a budgets file that is wrong is told with its place, and nothing starts", async () => {
  const file = join(desk.root, "wrong.yaml");
  writeFileSync(file, "budgets:\n  - { scope: tenant, limt: 5 }\n");
  const ended = await desk.run(["spend"], { env: { AGENT_RUNNER_BUDGETS: file } });
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain("wrong.yaml:2:22: budgets[0].limt: there is no field `limt` here");
  expect(ended.stderr).toContain("did you mean `limit`?");
});

it("a run takes a budget on the command line, and money that is none is refused", async () => {
  const ended = await desk.run(["run", "hello", "-i", "name=Ada", "--budget", "two"]);
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain('budget.cost is "two"; expected US dollars like "$2" or "0.50".');
  // Nobody can answer here, so nothing is spent; what it may spend is told all the same.
  const ran = await desk.run(["run", "hello", "-i", "name=Ada", "--budget", "2"]);
  expect(ran.stdout).toContain("budget  $0.00 of $2.00 spent, $2.00 left");
});
