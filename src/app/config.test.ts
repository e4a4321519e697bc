import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

function read(env: Record<string, string>) {
  const config = readConfig(env);
  if (!config.ok) throw new Error(config.failure.message);
  return config.value;
}

test("models by stage, several candidates and the policy come from the environment", () => {
  const config = read({
    AGENT_RUNNER_MODEL: "anthropic/a, openai/b/c",
    EXECUTION_MODEL: "ollama/qwen3:8b",
    SUMMARISE_MODEL: "",
    AGENT_RUNNER_MODEL_POLICY: "latency-first",
    AGENT_RUNNER_MODEL_DENY: "openai/*, anthropic/old",
  });
  expect(config).toMatchObject({
    model: "anthropic/a, openai/b/c",
    stageModels: { execute: "ollama/qwen3:8b" },
  });
  expect(config.stageModels).not.toHaveProperty("summarise");
  expect(config.routing).toEqual({
    policy: "latency-first",
    deny: ["openai/*", "anthropic/old"],
  });
  expect(read({ AGENT_RUNNER_MODEL_POLICY: "quality=2, latency=1,cost=0.5" }).routing.policy).toEqual({
    quality: 2,
    latency: 1,
    cost: 0.5,
  });
});

test("roles, labels and how long ended runs are kept", () => {
  expect(read({})).toMatchObject({ roles: ["http", "worker", "services"], labels: [], retentionMs: null });
  const config = read({
    AGENT_RUNNER_ROLES: "worker, services,worker",
    AGENT_RUNNER_LABELS: "gpu, zone=eu,",
    AGENT_RUNNER_RETENTION: "30d",
  });
  expect(config).toMatchObject({ roles: ["worker", "services"], labels: ["gpu", "zone=eu"] });
  expect(config.retentionMs).toBe(30 * 86_400_000);
  expect(read({ AGENT_RUNNER_RETENTION: "forever" }).retentionMs).toBeNull();
});

test.each([
  ["AGENT_RUNNER_ROLES", "worker,boss", "http, worker, services"],
  ["AGENT_RUNNER_LABELS", "two words", "expected labels such as"],
  ["AGENT_RUNNER_RETENTION", "1s", "at least a minute"],
  ["AGENT_RUNNER_RETENTION", "long", "forever"],
  ["AGENT_RUNNER_MODEL", "claude", "expected provider/model"],
  ["AGENT_RUNNER_MODEL", "a/b,,c/d", "expected provider/model"],
  ["PLAN_MODEL", "opus", "PLAN_MODEL is"],
  ["AGENT_RUNNER_MODEL_POLICY", "fastest", "latency-first, quality-first, cost-first or weights"],
  ["AGENT_RUNNER_MODEL_ALLOW", "*", "expected patterns"],
  ["AGENT_RUNNER_MODEL_UNKNOWN_PRICE", "maybe", "AGENT_RUNNER_MODEL_UNKNOWN_PRICE"],
  ["AGENT_RUNNER_MODEL_MIN_QUALITY", "5", "a tier from 1"],
  ["AGENT_RUNNER_MODEL_HEDGE", "yes", "AGENT_RUNNER_MODEL_HEDGE"],
  ["AGENT_RUNNER_MODEL_REGIONS", "EU!", "regions such as"],
  ["MEDIATOR_MODEL", "llama", "MEDIATOR_MODEL is"],
])("%s may not be %j", (name, value, said) => {
  const config = readConfig({ [name]: value });
  expect(config).toMatchObject({
    ok: false,
    failure: { code: "invalid_config", details: { setting: name } },
  });
  expect(!config.ok && config.failure.message).toContain(said);
});

test("the further rules of routing, too", () => {
  const config = read({
    AGENT_RUNNER_MODEL_MIN_QUALITY: "3",
    AGENT_RUNNER_MODEL_HEDGE: "off",
    AGENT_RUNNER_MODEL_REGIONS: "eu, local",
    AGENT_RUNNER_MODEL_AFTER_CONTENT: "continue",
    AGENT_RUNNER_MODEL_UNKNOWN_PRICE: "deny",
    MEDIATOR_MODEL: "ollama/qwen3:8b",
  });
  expect(config.routing).toEqual({
    minQuality: 3,
    hedge: false,
    regions: ["eu", "local"],
    afterContent: "continue",
    unknownPrice: "deny",
  });
  expect(config).toMatchObject({ mediatorModel: "ollama/qwen3:8b", mediatorMs: 30_000, modelsFile: null });
});

test("health is shared only where it was asked for", () => {
  expect(read({}).sharedHealth).toBe(false);
  expect(read({ AGENT_RUNNER_SHARED_HEALTH: "1" }).sharedHealth).toBe(true);
  expect(read({ AGENT_RUNNER_SHARED_HEALTH: "0" }).sharedHealth).toBe(false);
  expect(readConfig({ AGENT_RUNNER_SHARED_HEALTH: "yes" })).toMatchObject({ ok: false });
});
