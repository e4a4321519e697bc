import { afterAll, beforeAll, expect, it } from "vitest";
import { Desk } from "../support/cli.ts";

let desk: Desk;
beforeAll(() => {
  desk = new Desk();
});
afterAll(() => desk.close());

interface Checked {
  readonly checks: readonly { name: string; status: string; detail: string; remedy: string | null }[];
}

interface Listed {
  readonly runs: readonly { readonly id: string }[];
}

it("a run says its class and for whom; lists and the queue go by it; its promises are shown", async () => {
  const said = ["run", "hello", "-i", "name=Ada", "--detach", "--class", "high", "--start-by", "1ms"];
  const run = await desk.json<{ id: string; tenant: string }>([...said, "--tenant", "acme"]);
  expect(run).toMatchObject({ tenant: "acme", priority: 2, sla: { class: "high" } });
  expect((await desk.json<Listed>(["runs", "--tenant", "acme"])).runs.map(({ id }) => id)).toEqual([run.id]);
  const shown = await desk.run(["show", run.id]);
  expect(shown.stdout).toMatch(/promise high {2}breached {2}begins within 1ms; start_by missed by/);
  const queue = await desk.run(["queue"]);
  expect(queue.stdout).toContain("1 of 100000 waiting");
  expect(queue.stdout).toMatch(/high +2 +1 +unknown/);
  expect(queue.stdout).toMatch(/acme +1 +50000/);
});

it("a wrong class and a wrong limits file are told as what they are", async () => {
  const wrong = await desk.run(["run", "hello", "-i", "name=Ada", "--class", "fast"]);
  expect(wrong.stderr).toContain('class is "fast"; expected one of urgent, high, normal, low, batch.');
  const file = desk.file("limits.yaml", "queue:\n  max_queued: none\n");
  const refused = await desk.run(["queue"], { env: { AGENT_RUNNER_LIMITS: file } });
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("limits.yaml:2:15: queue.max_queued: expected a whole number");
});

it("what waits for labels that nobody has is told by the queue and by the doctor, with what to do", async () => {
  const file = desk.file(
    "rare.yaml",
    'name: rare\nversion: "1"\ndescription: d\nruns_on: [quantum, gpu]\nsteps:\n  - { id: a, uses: noop }\n',
  );
  expect((await desk.run(["upload", file])).code).toBe(0);
  for (const _ of [1, 2]) await desk.json(["run", "rare", "--detach"]);
  const start = "agent-runner start --worker --label gpu --label quantum";
  const queue = await desk.run(["queue"]);
  expect(queue.stdout).toContain(`2 runs waiting for gpu, quantum, which no worker has: ${start}`);
  expect(await desk.json<object>(["queue"])).toMatchObject({
    unserved: [{ needs: ["gpu", "quantum"], queued: 2 }],
  });
  const { checks } = await desk.json<Checked>(["doctor"]);
  expect(checks.filter(({ name }) => name === "queue")).toEqual([
    {
      name: "queue",
      status: "warn",
      detail: "2 waiting for gpu, quantum, which no live worker has",
      remedy: expect.stringContaining(start),
    },
  ]);
});
