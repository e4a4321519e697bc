import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalArtifacts } from "../../src/adapters/artifacts/local/store.ts";
import { FailureError } from "../../src/domain/errors.ts";

/** Puts until the disk is full, frees space, goes on, then loses the right to write. Prints what happened as JSON. */
const disk = process.argv[2] ?? "";
const store = createLocalArtifacts(join(disk, "artifacts"));
writeFileSync(join(disk, "ballast"), randomBytes(256 * 1024));

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "ok";
  } catch (error) {
    return error instanceof FailureError ? error.failure.code : String(error);
  }
};
const leftovers = () =>
  readdirSync(disk, { recursive: true }).filter((name) => String(name).endsWith(".tmp"));

const small = await store.put("small");
const big = randomBytes(900 * 1024);
const full = await codeOf(store.put(big));
const temporary = leftovers().length;
rmSync(join(disk, "ballast"));
const afterwards = await codeOf(store.put(big));
spawnSync("mount", ["-o", "remount,bind,ro", disk]);
const readOnly = await codeOf(store.put("another"));
const stillThere = (await store.get(small.sha256)) !== null;
process.stdout.write(JSON.stringify({ full, temporary, afterwards, readOnly, stillThere }));
