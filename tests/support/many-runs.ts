import type { Admission, Claim, Commit, RunStore } from "../../src/contracts/run-store.ts";
import type { FactBody } from "../../src/domain/fact.ts";

const WAVE = 200;
const START = 1_700_000_000_000;
const LARGE_CHARS = 6_000;
const WORKER = { id: "filler", host: "elsewhere", pid: 1, processStart: "", slots: WAVE };

/** What becomes of the n-th run of a hundred; the others complete. */
const FATES = {
  queued: 0,
  timer: 1,
  approval: 2,
  failed: 3,
  large: 4,
  parent: 5,
  signaled: 6,
} as const;

/** `run_000000000042`. */
export function runId(n: number): string {
  return `run_${String(n).padStart(12, "0")}`;
}

function admissionOf(n: number): Admission {
  const fate = n % 100;
  const workflow = { name: `flow-${n % 7}`, version: "1", hash: String(n % 7).repeat(64) };
  const placed = {
    tenant: `tenant-${n % 5}`,
    queue: "default",
    priority: n % 10,
    deadlineAt: null,
    parent: null,
  };
  return {
    id: runId(n),
    request: { workflow, inputs: { n, text: `Änderung № ${n} 🚀` }, title: `Run ${n}`, ...placed },
    idempotency: fate === FATES.queued ? { key: `key-${n}`, bodyHash: `body-${n}` } : null,
    at: START + n,
  };
}

/** Letters that no packer makes nothing of, the same in every run of the program. */
function large(n: number): string {
  let text = "";
  for (let at = 0, state = n + 1; at < LARGE_CHARS; at += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    text += String.fromCharCode(97 + (state % 26));
  }
  return text;
}

const END = { kind: "end", output: null, failure: null } as const;

function commitOf(n: number, claim: Claim): Commit {
  const fate = n % 100;
  const bodies: FactBody[] = [{ kind: "run_started", worker: WORKER.id }];
  const step = (id: string, output: string | null) => {
    bodies.push({ kind: "step_started", step: id, attempt: 1, input: { n } });
    bodies.push({ kind: "step_succeeded", step: id, attempt: 1, output });
  };
  step("a", fate === FATES.large ? large(n) : `output of ${n}`);
  const empty = { paused: false, consumed: [], children: [], posts: [], approvals: [], closedApprovals: [] };
  let rest: Partial<Commit> = {};
  if (fate === FATES.timer)
    rest = { next: { kind: "rest", wakeAt: START + n * 1_000, waitingFor: ["timer"] } };
  else if (fate === FATES.approval) {
    const request = {
      id: `apr_${n}`,
      title: "Ship it?",
      details: { n },
      risk: "high",
      expiresAt: null,
    } as const;
    rest = {
      approvals: [{ step: "b", request }],
      next: { kind: "rest", wakeAt: null, waitingFor: ["approval"] },
    };
  } else if (fate === FATES.parent) {
    const { request } = admissionOf(n);
    const child = { ...request, parent: { run: runId(n), step: "b", depth: 1 } };
    const admission = { id: `${runId(n)}_child`, request: child, idempotency: null, at: START + n };
    rest = { children: [admission], next: { kind: "rest", wakeAt: null, waitingFor: ["child"] } };
  } else if (fate === FATES.signaled)
    rest = { next: { kind: "rest", wakeAt: null, waitingFor: ["signal go"] } };
  else if (fate === FATES.failed) {
    const failure = { code: "step_failed", message: `broke at ${n}`, retryable: false };
    bodies.push({ kind: "run_failed", failure });
    rest = { next: { ...END, status: "failed", failure } };
  } else {
    step("b", null);
    step("c", null);
    bodies.push({ kind: "run_completed", output: { n } });
    rest = { next: { ...END, status: "completed", output: { n } } };
  }
  const facts = bodies.map((body, index) => ({ ...body, seq: index + 2, at: START + n + index }));
  return { claim, started: true, next: { kind: "hold" }, facts, ...empty, ...rest };
}

/**
 * Puts `count` runs into a store, the same for the same count: most have completed, and of each hundred one is queued
 * under an idempotency key, one waits for a time, one for a person, one for a child, one for a signal, which has been
 * sent and not been read, one has failed, and one has a body that is kept as a blob.
 */
export async function fillStore(store: RunStore, count: number): Promise<void> {
  await store.join(WORKER);
  const all = Array.from({ length: count }, (_, n) => n);
  const worked = all.filter((n) => n % 100 !== FATES.queued);
  for (let from = 0; from < worked.length; from += WAVE) await work(store, worked.slice(from, from + WAVE));
  await store.leave(WORKER.id);
  const queued = all.filter((n) => n % 100 === FATES.queued);
  for (let from = 0; from < queued.length; from += WAVE) {
    await store.admit(queued.slice(from, from + WAVE).map(admissionOf));
  }
}

async function work(store: RunStore, wave: readonly number[]): Promise<void> {
  await store.admit(wave.map(admissionOf));
  const numbers = new Map(wave.map((n) => [runId(n), n]));
  const claims: Claim[] = [];
  // Children of waves before this one are ready too: they are given back at the end.
  for (;;) {
    const more = (await store.claim({ worker: WORKER.id, limit: WAVE })) ?? [];
    if (more.length === 0) break;
    claims.push(...more);
  }
  const mine = claims.flatMap((claim) => {
    const n = numbers.get(claim.run);
    return n === undefined ? [] : [commitOf(n, claim)];
  });
  const answers = await store.commit(mine);
  const refused = answers.find((answer) => answer.kind !== "ok");
  if (refused !== undefined) throw new Error(`not written: ${JSON.stringify(refused)}`);
  const signaled = wave.filter((n) => n % 100 === FATES.signaled);
  const signal = { kind: "signal", name: "go", body: { ok: true }, from: "api" } as const;
  await store.post(signaled.map((n) => ({ run: runId(n), id: `sig_${n}`, at: START + n, ...signal })));
}
