import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { DEFAULT_RULES } from "../domain/admission-rules.ts";
import { type Config, readConfig } from "./config.ts";
import { liveRules, readLimits } from "./limits.ts";

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
  const rules = liveRules(first.value);
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
