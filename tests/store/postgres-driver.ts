import { writeSync } from "node:fs";
import { hostname } from "node:os";
import { openPostgresStore } from "../../src/adapters/store/postgres/open.ts";
import { processStart } from "../../src/adapters/store/sql/process.ts";
import type { Claim } from "../../src/contracts/run-store.ts";
import { commit, facts } from "../../src/contracts/run-store-suite/fixtures.suite.ts";

/**
 * One process of several: claims runs, writes steps in each and ends them, until nothing is left. Prints `run token`
 * for each run it has ended; a failed verb is tried again, as the engine does.
 */
const clock = { now: () => Date.now(), after: () => () => undefined };
const STEPS = 4;
const AT_A_TIME = 8;
const opened = await openPostgresStore({
  url: process.argv[2] ?? "",
  clock,
  beatMs: 200,
  patienceMs: 30_000,
  onBeatFailure: () => {},
});
const { store } = opened;
const id = `w${process.pid}`;
const me = {
  id,
  host: hostname(),
  pid: process.pid,
  processStart: processStart(process.pid),
  slots: AT_A_TIME,
};

async function persistent<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const code = (error as { failure?: { code?: string } }).failure?.code;
      if (code !== "unavailable") throw error;
    }
  }
}

/** Continues where the journal ends: a run that was taken over has some of its steps. */
async function drive(claims: readonly Claim[]): Promise<void> {
  let open = await Promise.all(
    claims.map(async (claim) => ({
      claim,
      seq: (await persistent(() => store.facts(claim.no, 0, 100))).length,
    })),
  );
  while (open.length > 0) {
    const batch = open.map(({ claim, seq }) => {
      const last = seq > STEPS;
      const noted = { kind: "noted", step: `s${seq}`, name: id, data: {} } as const;
      const done = { kind: "run_completed", output: null } as const;
      return commit(claim, {
        facts: facts(seq + 1, [last ? done : noted]),
        started: true,
        next: last ? { kind: "end", status: "completed", output: null, failure: null } : { kind: "hold" },
      });
    });
    const answers = await persistent(() => store.commit(batch));
    const next: typeof open = [];
    for (const [index, { claim, seq }] of open.entries()) {
      const answer = answers[index];
      if (answer?.kind === "refused") throw new Error(`${claim.run}: ${answer.failure.message}`);
      if (answer?.kind === "fenced") continue;
      if (batch[index]?.next.kind === "end") writeSync(1, `${claim.run} ${claim.token}\n`);
      else next.push({ claim, seq: seq + 1 });
    }
    open = next;
  }
}

await persistent(() => store.join(me));
for (;;) {
  await persistent(() => store.reap(Date.now()));
  const claims = await persistent(() => store.claim({ worker: id, limit: AT_A_TIME }));
  if (claims === null) await persistent(() => store.join(me));
  else if (claims.length > 0) await drive(claims);
  else {
    const { byStatus } = await persistent(() => opened.reader.counts());
    if (byStatus.queued + byStatus.running === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
await persistent(() => store.leave(id));
await opened.close();
