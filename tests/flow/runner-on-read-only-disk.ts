import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { FailureError } from "../../src/domain/errors.ts";
import { openRunner } from "../../src/index.ts";

/** Accepts a run, finds its disk read-only at the next start, and completes the run when it is writable again. */
const disk = process.argv[2] ?? "";
const options = { dataDir: join(disk, "data"), env: { AGENT_RUNNER_LOG: "silent" } };

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "ok";
  } catch (error) {
    return error instanceof FailureError ? error.failure.code : String(error);
  }
};
const remount = (how: string) => spawnSync("mount", ["-o", `remount,bind,${how}`, disk]).status;

const first = await openRunner(options);
await first.addWorkflow(`name: patient
version: "1"
description: Waits.
steps: [{ id: wait, uses: wait, with: { signal: go } }]
`);
const { id } = await first.start("patient", {});
for await (const fact of first.facts(id)) if (fact.kind === "step_waiting") break;
await first.close();

const mounted = [remount("ro")];
if (mounted[0] !== 0) throw new Error("the disk cannot be made read-only");
const known = await codeOf(openRunner(options));
const fresh = await codeOf(openRunner({ ...options, dataDir: join(disk, "elsewhere") }));
mounted.push(remount("rw"));

const second = await openRunner(options);
await second.signal(id, "go");
const { status } = await second.wait(id, { signal: AbortSignal.timeout(20_000) });
await second.close();
process.stdout.write(JSON.stringify({ mounted, known, fresh, status }));
