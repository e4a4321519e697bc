import { existsSync, readdirSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import type { OutageProof } from "../src/cli/demo/outage.ts";
import type { RunDetail } from "../src/http/api.ts";
import { Desk } from "./support/cli.ts";

// What a newcomer types first, offline and without a key.
describe("demo", () => {
  const desk = new Desk();
  const env = { TMPDIR: desk.root, TEMP: desk.root, TMP: desk.root };
  afterAll(() => desk.close());
  const copies = () => readdirSync(desk.root).filter((name) => name.startsWith("agent-runner-demo-"));

  it("turns a red repository into a branch with a judged commit, and cleans up when told to", async () => {
    const { code, stdout, stderr } = await desk.run(["demo", "--no-keep"], { env });
    expect(stderr).toMatch(/✖ takes percent/);
    expect(stderr).toContain("gate test failed with exit code 1");
    expect(stderr).toContain("feat(cart): redeem one voucher per cart");
    expect(stdout).toMatch(/completed.*branch .*commit .*test\/voucher\.test\.js.*✓ test.*diff\.patch/s);
    expect(code).toBe(0);
    expect(copies()).toEqual([]);
  });

  it("--crash: kills the driving process in the middle of a step, and nothing happens twice", async () => {
    const { code, stdout, stderr } = await desk.run(["demo", "--crash", "--json"], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const told = JSON.parse(stdout) as {
      run: RunDetail;
      crash: { effects: number; before_kill: number; repeated: string[] };
    };
    expect(told.run.status).toBe("completed");
    expect(told.crash.repeated).toEqual([]);
    expect(told.crash.before_kill).toBeGreaterThan(0);
    expect(told.crash.effects).toBeGreaterThan(told.crash.before_kill);
    // What was kept can be looked at, by the commands that the demo names.
    const [copy = ""] = copies();
    const data = `${desk.root}/${copy}/data`;
    expect(existsSync(data)).toBe(true);
    const shown = await desk.run(["--data", data, "events", told.run.id]);
    expect(shown.stdout).toContain("taken over by");
  });

  it("--outage: a provider dies in the middle of an answer, and the run does not notice", async () => {
    const before = copies();
    const { code, stdout, stderr } = await desk.run(["demo", "--outage", "--no-keep", "--json"], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { run, outage } = JSON.parse(stdout) as { run: RunDetail; outage: OutageProof };
    expect(run.status).toBe("completed");
    const { calls } = outage;
    expect(calls).toHaveLength(10);
    // Two answers, one that broke off, four that were refused: five in a row open the breaker.
    expect(calls.slice(0, 7).map((call) => call.attempts.join(", "))).toEqual([
      "anthropic: ok",
      "anthropic: ok",
      "anthropic: model_truncated, openai: ok",
      ...Array<string>(4).fill("anthropic: model_unavailable, openai: ok"),
    ]);
    expect(outage.open_at).toBe(7);
    expect(calls.slice(6).every((call) => call.out?.startsWith("anthropic open"))).toBe(true);
    // How many are probes depends on how long the calls take; each of the others went to the second model at once.
    expect(outage.spared + outage.probes).toBe(3);
    expect(calls.slice(2).map((call) => call.by)).toEqual(Array<string>(8).fill("openai/gpt-5"));
    expect(copies()).toEqual(before);
  });

  it("--outage goes with no other provider", async () => {
    const { code, stderr } = await desk.run(["demo", "--outage", "--live"], { env });
    expect(code).toBe(2);
    expect(stderr).toContain("leave out --crash, --live and --repo");
  });
});
