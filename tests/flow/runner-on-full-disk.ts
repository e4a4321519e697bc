import { randomBytes } from "node:crypto";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import { FailureError } from "../../src/domain/errors.ts";
import { defineAction, openRunner, type Runner } from "../../src/index.ts";
import { findRun } from "../../src/operations/runs/find-run.ts";
import { Playground } from "./playground.ts";

/**
 * A runner whose disk fills up: while runs are admitted, in the middle of a step, and while git makes a worktree.
 * Prints what happened as JSON. The repository is on another disk.
 */
const disk = process.argv[2] ?? "";
const ballast = join(disk, "ballast");
const CHUNK = 64 * 1024;
const MOST_STARTS = 500;

/** Fills the disk up to its last block, but for so many bytes. */
function fill(leave = 0): void {
  const chunk = randomBytes(CHUNK);
  for (const size of [CHUNK, 4096, 512]) {
    try {
      for (;;) appendFileSync(ballast, chunk.subarray(0, size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
  if (leave === 0) return;
  rmSync(ballast);
  const spare = join(disk, "spare");
  appendFileSync(spare, randomBytes(leave));
  fill();
  rmSync(spare);
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "ok";
  } catch (error) {
    return error instanceof FailureError ? error.failure.code : String(error);
  }
};

let hoarded = 0;
const filled = Promise.withResolvers<void>();
/** The first time it leaves no room for what it returns. */
const hoard = defineAction({
  name: "hoard",
  description: "Fills the disk.",
  input: z.strictObject({}),
  output: z.object({ text: z.string() }),
  perform: async () => {
    hoarded += 1;
    if (hoarded === 1) {
      fill();
      filled.resolve();
    }
    return { text: randomBytes(200_000).toString("base64") };
  },
});

const QUICK = `name: quick
version: "1"
description: Nothing.
steps: [{ id: nothing, uses: noop }]
`;
const HOARDER = `name: hoarder
version: "1"
description: Waits, then fills the disk.
steps:
  - { id: wait, uses: wait, with: { signal: go } }
  - { id: hoard, uses: hoard, needs: wait }
outputs:
  bytes: \${{ size(steps.hoard.outputs.text) }}
`;

const statusOf = async (runner: Runner, id: string): Promise<string> => {
  const summary = await runner.wait(id, { signal: AbortSignal.timeout(20_000) });
  return summary.failure?.code ?? summary.status;
};

const play = new Playground();
const repo = await play.repository("repo", { "large.bin": randomBytes(3 * 1024 * 1024) });
const runner = await play.runner({
  dataDir: join(disk, "data"),
  actions: [hoard],
  words: { turns: [{ text: "no" }] },
});
await runner.addWorkflow(QUICK);
await runner.addWorkflow(HOARDER);
const waiting = await runner.start("hoarder", {});
for await (const fact of runner.facts(waiting.id)) if (fact.kind === "step_waiting") break;

// Full at the door: what is refused is refused by name, what was accepted is kept.
fill();
const accepted: string[] = [];
let refused = "ok";
while (refused === "ok" && accepted.length < MOST_STARTS) {
  refused = await codeOf(runner.start("quick", {}).then(({ id }) => accepted.push(id)));
}
const signal = await codeOf(runner.signal(waiting.id, "go"));
const elsewhere = await codeOf(
  openRunner({ dataDir: join(disk, "else", "where"), env: { AGENT_RUNNER_LOG: "silent" } }),
);
const readable = (await findRun(runner.house.operations, waiting.id)).ok;
rmSync(ballast);
const kept = await Promise.all(accepted.map((id) => statusOf(runner, id)));

// Full in the middle of a step: it is not lost, and goes on when there is space.
if (signal !== "ok") await runner.signal(waiting.id, "go");
await filled.promise;
// What the step returned has met the full disk when the event loop has gone round a few times.
for (let turn = 0; turn < 100; turn += 1) await setImmediate();
let midway = "ok";
for (let n = 0; midway === "ok" && n < MOST_STARTS; n += 1) midway = await codeOf(runner.start("quick", {}));
rmSync(ballast);
const resumed = await statusOf(runner, waiting.id);

// Full while git checks out: the run has room to say so, and the next one succeeds.
fill(1_500_000);
const question = { repo, task: "Look", use: "scripted/flow" };
const checkout = await statusOf(runner, (await runner.start("code-change", question)).id);
rmSync(ballast);
await runner.addWorkflow(`name: checkout
version: "1"
description: Makes a worktree.
inputs: { repo: { type: string, required: true } }
steps: [{ id: workspace, uses: workspace, with: { repo: "\${{ inputs.repo }}", task: Look } }]
`);
const afterwards = await statusOf(runner, (await runner.start("checkout", { repo })).id);
await play.close();
process.stdout.write(
  JSON.stringify({
    refused,
    elsewhere,
    readable,
    kept: kept.every((status) => status === "completed"),
    midway,
    resumed,
    hoarded,
    checkout,
    afterwards,
  }),
);
