import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Approval } from "../../src/domain/approval.ts";
import { listApprovals } from "../../src/operations/approvals/list-approvals.ts";
import { until } from "../support/until.ts";
import type { Fleet } from "./fleet.ts";
import { ended, factsOf, git, Playground, stopDatabases, writeFiles } from "./playground.ts";

// A few flows by many processes, always. FLOW_DATABASE=postgres FLOW_WORKERS=3 is all of them so.
const WORKERS = 3;
const AT_ONCE = 6;
const SEEN_MS = 60_000;

const finish = { name: "finish", input: { outcome: "done", summary: "It is there." } };
const write = { name: "write", input: { path: "new.txt", content: "new\n" } };
const read = { name: "read", input: { path: "new.txt" } };
const words = {
  agents: {
    implement: [{ tool_calls: [write] }, { tool_calls: [read] }, { tool_calls: [finish] }],
    commit_message: [{ text: "feat: a new file", times: "always" as const }],
  },
};

describe("one process that answers and three that work, on PostgreSQL", () => {
  const play = new Playground("postgres");
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await play.fleet(WORKERS, { words, env: { AGENT_RUNNER_SLOTS: String(AT_ONCE / WORKERS) } });
  });
  afterAll(async () => {
    await play.close();
    await stopDatabases();
  });

  const question = (id: string): Promise<Approval> =>
    until(
      "the question",
      async () => {
        const page = await listApprovals(fleet.house.operations, { run: id, status: "pending" });
        return (page.ok && page.value.approvals[0]) || null;
      },
      SEEN_MS,
    );

  it("a change is asked for, made, approved and pushed, whoever of them does what", async () => {
    const repo = await play.repository("repo", { "a.txt": "1\n" });
    const remote = await play.remote(repo);
    const { id } = await fleet.start("code-change", {
      repo,
      task: "Add a file",
      remote: "origin",
      approve: true,
    });
    await fleet.answer((await question(id)).id, "approved", "go ahead");
    const done = await ended(fleet, id);
    expect(done.summary).toMatchObject({ status: "completed", output: { pushed: true, files: ["new.txt"] } });
    const { branch, commit } = done.summary.output as { branch: string; commit: string };
    expect(await git(remote, "rev-parse", branch)).toBe(commit);
    expect(factsOf(done.facts, "approval_answered")).toMatchObject([{ answer: "approved", by: "api" }]);
  });

  it("all work at the same time; of one that is killed nothing is lost, and nothing is done again unasked", async () => {
    const marks = play.path("marks");
    const go = play.path("go");
    writeFiles(play.root, {
      "marks/none": "",
      "hold.mjs": `import { existsSync, writeFileSync } from "node:fs";
writeFileSync(${JSON.stringify(`${marks}/`)} + process.pid, "");
const look = setInterval(() => existsSync(${JSON.stringify(go)}) && clearInterval(look), 10);
setTimeout(() => process.exit(1), ${SEEN_MS * 2}).unref();
`,
    });
    const line = [process.execPath, play.path("hold.mjs")].map((part) => `"${part}"`).join(" ");
    await fleet.addWorkflow(
      `name: hold\nversion: "1"\ndescription: Holds on.\nsteps:\n  - { id: hold, uses: shell, with: { run: ${JSON.stringify(line)} } }\n`,
    );
    const runs: string[] = [];
    for (let n = 0; n < AT_ONCE; n += 1) runs.push((await fleet.start("hold", {})).id);
    // Two slots each: all six at once need all three.
    await until("all of them at work", () => (readdirSync(marks).length > AT_ONCE ? true : null), SEEN_MS);
    const factsNow = async (run: string) =>
      (await fleet.house.operations.reader.factsOf(run, { after: 0, limit: 1_000 })) ?? [];
    const byWorker = new Map<string, string[]>();
    for (const run of runs) {
      for (const { worker } of factsOf(await factsNow(run), "run_started"))
        byWorker.set(worker, [...(byWorker.get(worker) ?? []), run]);
    }
    expect([...byWorker.values()].map((held) => held.length)).toEqual([2, 2, 2]);

    const members = await fleet.house.operations.fleet.members();
    const [victim] = fleet.workers;
    const dead = members.find(({ pid }) => pid === victim?.child.pid);
    victim?.child.kill("SIGKILL");
    await victim?.ended;
    const orphans = byWorker.get(dead?.id ?? "") ?? [];
    expect(orphans).toHaveLength(2);
    // The others drive them on once they have room; nobody knows what the commands did, so a person is asked.
    writeFiles(play.root, { go: "" });
    for (const run of runs) {
      if (orphans.includes(run)) await fleet.answer((await question(run)).id, "approved", "once more");
      const done = await ended(fleet, run);
      expect(done.summary).toMatchObject({ status: "completed" });
      expect(factsOf(done.facts, "run_resumed_by").length > 0).toBe(orphans.includes(run));
    }
    expect(readdirSync(marks)).toHaveLength(1 + AT_ONCE + orphans.length);
  });
});
