import { writeSync } from "node:fs";
import { hostname } from "node:os";
import { openSqliteStore, processStart } from "../../src/adapters/store/sqlite/open.ts";
import { commit, facts } from "../../src/contracts/run-store-suite/fixtures.suite.ts";

/** Joins, claims what is there, says so, and commits without end until it is killed: each commit that was answered is printed. */
const clock = { now: () => Date.now(), after: () => () => undefined };
const { store } = await openSqliteStore({ path: process.argv[2] ?? "", clock });
const id = `w${process.pid}`;
const start = processStart(process.pid);
await store.join({ id, host: hostname(), pid: process.pid, processStart: start, slots: 8 });
const claims = (await store.claim({ worker: id, limit: 8 })) ?? [];
const last = new Map<number, number>();
for (const claim of claims) last.set(claim.no, (await store.facts(claim.no, 0, 100_000)).length);
writeSync(1, `claimed ${claims.length}\n`);
for (;;) {
  const batch = claims.map((claim) => {
    const seq = last.get(claim.no) ?? 0;
    last.set(claim.no, seq + 2);
    const noted = { kind: "noted", step: "a", name: "n", data: {} } as const;
    return commit(claim, { facts: facts(seq + 1, [noted, noted]) });
  });
  const answers = await store.commit(batch);
  if (answers.some((answer) => answer.kind !== "ok")) process.exit(1);
  writeSync(1, `${claims.map((claim) => `${claim.run}=${last.get(claim.no)}`).join(" ")}\n`);
}
