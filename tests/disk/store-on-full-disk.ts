import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import {
  admission,
  commit,
  facts,
  held,
  manualClock,
  succeeded,
} from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { FailureError } from "../../src/domain/errors.ts";

/** Commits until the disk is full, frees space, goes on, then loses the right to write. Prints what happened as JSON. */
const disk = process.argv[2] ?? "";
writeFileSync(join(disk, "ballast"), randomBytes(1024 * 1024));
const path = join(disk, "runs.db");
const clock = manualClock();
const opened = await openSqliteStore({ path, clock, beats: "none" });
const { store } = opened;

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "ok";
  } catch (error) {
    return error instanceof FailureError ? error.failure.code : String(error);
  }
};

const claim = await held(store);
let written = 1;
let full = "ok";
while (full === "ok" && written < 10_000) {
  // Random text, so that it does not compress away; each commit has two facts, of which none or both are written.
  const output = randomBytes(12_000).toString("base64");
  const both = facts(written + 1, [succeeded(`a${written}`, output), succeeded(`b${written}`, output)]);
  full = await codeOf(store.commit([commit(claim, { facts: both })]));
  if (full === "ok") written += 2;
}
const admitted = await codeOf(store.admit(Array.from({ length: 400 }, (_, n) => admission(`run_x${n}`))));
const inJournal = (await store.facts(claim.no, 0, 20_000)).length;
rmSync(join(disk, "ballast"));
const next = facts(written + 1, [succeeded("after", "space again")]);
const afterwards = await store.commit([commit(claim, { facts: next })]);
await opened.close();

const again = await openSqliteStore({ path, clock, beats: "none" });
const reopened = (await again.store.facts(claim.no, 0, 20_000)).length;
await again.close();
spawnSync("mount", ["-o", "remount,bind,ro", disk]);
const readOnly = await codeOf(openSqliteStore({ path, clock, beats: "none" }));
const consistent = inJournal === written && reopened === written + 1;
process.stdout.write(
  JSON.stringify({
    full,
    admitted,
    consistent,
    afterwards: afterwards[0]?.kind,
    readOnly,
    filled: written > 10,
  }),
);
