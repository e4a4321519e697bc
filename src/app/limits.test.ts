import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { z } from "zod";
import { until } from "../../tests/support/until.ts";
import { DEFAULT_RULES, tenantRules } from "../domain/admission-rules.ts";
import { LIMITS } from "../domain/limits.ts";
import { defineAction } from "../engine/steps/define-action.ts";
import { type Config, readConfig } from "./config.ts";
import { liveRules, readLimits } from "./limits.ts";
import { openRunner } from "./runner.ts";

const folder = mkdtempSync(join(tmpdir(), "limits-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "limits.yaml");

function configWith(env: Record<string, string>): Config {
  const config = readConfig(env);
  if (!config.ok) throw new Error(config.failure.message);
  return config.value;
}

it("without a file the defaults hold", async () => {
  expect(configWith({}).limits).toBeNull();
  expect(await readLimits(null)).toEqual({ ok: true, value: DEFAULT_RULES });
});

it("a file that is not there is told with its setting", async () => {
  const read = await readLimits(join(folder, "none.yaml"));
  expect(read.ok ? null : read.failure).toMatchObject({
    code: "invalid_config",
    message: expect.stringContaining("AGENT_RUNNER_LIMITS is"),
    details: { setting: "AGENT_RUNNER_LIMITS" },
  });
});

it("a reload takes the file as it is by then; a wrong one changes nothing", async () => {
  const config = configWith({ AGENT_RUNNER_LIMITS: file });
  expect(config.limits).toBe(file);
  writeFileSync(file, "queue: { max_queued: 5 }");
  const first = await readLimits(config.limits);
  if (!first.ok) throw new Error(first.failure.message);
  const rules = liveRules({ first: first.value, configured: true, resize: async () => 0 });
  expect(rules.current().maxQueued).toBe(5);
  writeFileSync(file, "queue: { max_queued: 7 }");
  const prepared = await rules.prepare(config);
  expect(rules.current().maxQueued).toBe(5);
  if (prepared.ok) prepared.value();
  expect(rules.current().maxQueued).toBe(7);
  writeFileSync(file, "queue: { max_queued: many }");
  expect((await rules.prepare(config)).ok).toBe(false);
  expect(rules.current().maxQueued).toBe(7);
});

const HOLD = `name: hold
version: "1"
description: Holds its worker until it is let go.
steps:
  - id: hold
    uses: hold
`;

it("a reload resizes the slots that are in use: more goes on at once, less stops nobody", async () => {
  const bound = (runs: number | null) =>
    writeFileSync(file, `tenants: { acme: { max_running: ${runs} }, idle: { max_running: 3 } }`);
  const holding: (() => void)[] = [];
  const hold = defineAction({
    name: "hold",
    description: "Waits to be let go.",
    input: z.object({}),
    output: z.null(),
    perform: async () => {
      await new Promise<void>((go) => void holding.push(go));
      return null;
    },
  });
  bound(1);
  const env = { AGENT_RUNNER_LIMITS: file, AGENT_RUNNER_LOG: "silent", AGENT_RUNNER_SLOTS: "8" };
  const runner = await openRunner({ dataDir: join(folder, "data"), env, actions: [hold] });
  const { operations } = runner.house;
  const caps = () => operations.reader.slots({ prefix: "tenant:", after: null, limit: 10 });
  const parked = async () => (await operations.reader.load(0)).parked;
  try {
    await runner.addWorkflow(HOLD);
    for (let n = 0; n < 4; n += 1) await runner.start("hold", {}, { tenant: "acme" });
    await until("three to be put aside", async () => ((await parked()) === 3 ? true : null));
    expect(holding.length).toBe(1);
    bound(3);
    expect((await runner.house.reload()).ok).toBe(true);
    await until("two more to go on", async () => (holding.length === 3 ? true : null));
    expect(await caps()).toEqual([{ key: "tenant:acme", limit: 3, held: 3 }]);
    bound(2);
    expect((await runner.house.reload()).ok).toBe(true);
    expect(await caps()).toEqual([{ key: "tenant:acme", limit: 2, held: 3 }]);
    bound(null);
    expect((await runner.house.reload()).ok).toBe(true);
    await until("the last one to go on", async () => (holding.length === 4 ? true : null));
    expect(await caps()).toEqual([{ key: "tenant:acme", limit: LIMITS.slotLimit, held: 4 }]);
  } finally {
    for (const go of holding) go();
    await runner.close();
  }
});

it("a process that knows no file leaves the slots of those that do as they are", async () => {
  writeFileSync(file, "tenants: { acme: { max_running: 1 } }");
  const resized: (number | null)[] = [];
  const rules = liveRules({
    first: DEFAULT_RULES,
    configured: false,
    resize: async (now) => resized.push(tenantRules(now, "acme").maxRunning),
  });
  const apply = async (env: Record<string, string>) => {
    const prepared = await rules.prepare(configWith(env));
    if (prepared.ok) prepared.value();
    expect((await rules.settle()).ok).toBe(true);
  };
  await apply({});
  expect(resized).toEqual([]);
  await apply({ AGENT_RUNNER_LIMITS: file });
  await apply({});
  expect(resized).toEqual([1, null]);
});
