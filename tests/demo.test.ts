import { existsSync, readdirSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
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
});
