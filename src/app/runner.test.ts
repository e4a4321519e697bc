import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../../tests/support/until.ts";
import { openRunner, type Runner } from "./runner.ts";

const folder = mkdtempSync(join(tmpdir(), "runner-"));
let runner: Runner;
beforeAll(async () => {
  runner = await openRunner({ dataDir: folder, env: { AGENT_RUNNER_LOG: "silent" } });
  await runner.addWorkflow(`name: talk
version: "1"
description: Asks, hears and waits.
steps:
  - id: ask
    uses: approval
    with: { title: "Ship it?", timeout: 1h }
  - id: hear
    uses: wait
    needs: ask
    with: { signal: reply }
  - id: go
    uses: wait
    needs: hear
    with: { signal: go }
outputs:
  heard: "\${{ steps.hear.outputs.body }}"
`);
});
afterAll(async () => {
  await runner.close();
  rmSync(folder, { recursive: true, force: true });
});

const waits = (run: string, what: RegExp) =>
  until(`the run to wait for ${what}`, async () => {
    const { waitingFor } = await runner.run(run);
    return waitingFor.some((one) => what.test(one)) ? true : null;
  });

it("questions are listed and answered, a run hears a reply, and is paused and resumed", async () => {
  const { id } = await runner.start("talk", {}, { tenant: "acme" });
  const [asked] = await until("the question", async () => {
    const { approvals } = await runner.approvals({ status: "pending", run: id });
    return approvals.length > 0 ? approvals : null;
  });
  expect(asked).toMatchObject({ run: id, step: "ask", title: "Ship it?", status: "pending" });
  await runner.answer(asked?.id ?? "", "approved", "fine");
  expect((await runner.approvals({ run: id })).approvals).toMatchObject([{ status: "approved" }]);
  await expect(runner.answer(asked?.id ?? "", "denied")).rejects.toMatchObject({
    failure: { code: "already_answered" },
  });
  await waits(id, /reply/);
  await runner.pause(id);
  await until("the pause", async () => ((await runner.run(id)).paused ? true : null));
  await runner.reply(id, "take the other one");
  expect((await runner.run(id)).paused).toBe(true);
  await runner.resume(id);
  await waits(id, /signal:go/);
  await runner.signal(id, "go");
  const ended = await runner.wait(id);
  expect(ended).toMatchObject({ status: "completed", output: { heard: { text: "take the other one" } } });
});

it("runs are listed by what they are, in pages; what does not exist says so", async () => {
  const first = await runner.start("talk", {}, { tenant: "lists" });
  const second = await runner.start("talk", {}, { tenant: "lists" });
  const page = await runner.runs({ tenant: "lists", limit: 1 });
  expect(page).toMatchObject({ runs: [{ id: second.id }], nextAfter: second.id });
  const rest = await runner.runs({ tenant: "lists", after: second.id });
  expect(rest).toMatchObject({ runs: [{ id: first.id }], nextAfter: null });
  await runner.cancel(first.id, "no longer wanted");
  await runner.wait(first.id);
  const canceled = await runner.runs({ tenant: "lists", status: ["canceled"] });
  expect(canceled.runs.map(({ id }) => id)).toEqual([first.id]);
  for (const asked of [
    runner.run("run_none"),
    runner.pause("run_none"),
    runner.resume("run_none"),
    runner.reply("run_none", "?"),
  ])
    await expect(asked).rejects.toMatchObject({ failure: { code: "not_found" } });
  await expect(runner.reply(second.id, "")).rejects.toMatchObject({ failure: { code: "invalid_request" } });
});
