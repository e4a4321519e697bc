import { expect, test } from "vitest";
import { parseScript } from "../../src/adapters/models/script/parse.ts";
import { scriptedProvider } from "../../src/adapters/models/scripted/provider.ts";
import type { ModelGateway } from "../../src/contracts/model-gateway.ts";
import { failure } from "../../src/domain/errors.ts";
import type { IntentCandidate } from "../../src/domain/intent.ts";
import { LIMITS } from "../../src/domain/limits.ts";
import { createModelGateway } from "../../src/gateway/gateway.ts";
import { modelJudge } from "../../src/operations/intake/judge.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { realClock } from "../support/real-clock.ts";

const candidate = (kind: IntentCandidate["kind"], name: string): IntentCandidate => ({
  kind,
  name,
  description: `About ${name}.`,
  examples: [`Do ${name}`],
  keywords: [],
  inputs: {},
});
const CANDIDATES = [candidate("workflow", "wash"), candidate("agent", "wash"), candidate("workflow", "fold")];

/** Through the real gateway, as a model that says `text` whatever it is asked. */
function judge(text: string, use = "scripted/small") {
  const script = parseScript(`name: small\nturns:\n  - text: ${JSON.stringify(text)}\n`, "small.yaml");
  if (!script.ok) throw new Error(script.failure.message);
  const gateway = createModelGateway({
    providers: [
      { provider: scriptedProvider({ scripts: [script.value], clock: realClock }), onlyWhenNamed: true },
    ],
    howToConfigure: "",
    clock: realClock,
    random: () => 0,
  });
  return modelJudge({ gateway, clock: realClock, use })({ text: "my shirts", candidates: CANDIDATES });
}

test("a model's choice counts when it is one of the candidates", async () => {
  for (const said of ['{"choice": "agent wash"}', '```json\n{"choice": "agent wash"}\n```\n']) {
    const verdict = await judge(said);
    expect(verdict).toEqual({ ok: true, value: { candidate: CANDIDATES[1], model: "scripted/small" } });
  }
});

test("anything else is no answer, and says what was said", async () => {
  for (const said of [
    '{"choice": "wash"}',
    '{"choice": null}',
    '{"choice": 7}',
    "[]",
    "workflow fold",
    "{",
  ]) {
    const verdict = await judge(said);
    expect(verdict).toMatchObject({ ok: false, failure: { code: "model_bad_reply" } });
    expect(verdict.ok ? "" : verdict.failure.message).toContain(said);
  }
  expect(await judge("x", "nobody/none")).toMatchObject({ ok: false, failure: { code: "model_unknown" } });
});

test("a model that does not answer is given up", async () => {
  const clock = new ManualClock();
  const record = {
    provider: "slow",
    model: "one",
    stage: "context",
    attempts: [],
    usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
    costMicros: null,
    firstTokenMs: 0,
    policy: "quality-first",
    candidates: [],
    reason: "test",
    estimated: false,
    ms: 0,
  };
  const call: ModelGateway["call"] = (_request, { signal }) =>
    new Promise((resolve) => {
      const given = { ok: false, failure: failure("canceled", "given up"), record } as const;
      signal.addEventListener("abort", () => resolve(given));
    });
  const asked = modelJudge({ gateway: { call }, clock, use: "slow/one" })({
    text: "x",
    candidates: CANDIDATES,
  });
  await clock.advance(LIMITS.intentModelMs - 1);
  expect(clock.pending).toBe(1);
  await clock.advance(1);
  expect(await asked).toMatchObject({ ok: false, failure: { code: "canceled" } });
  expect(clock.pending).toBe(0);
});
