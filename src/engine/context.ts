import { newId } from "../base/id.ts";
import { canonicalJson, type Json } from "../base/json.ts";
import type { ActionContext } from "../contracts/action.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Wait } from "../domain/outcome.ts";
import { lineageBelow, payerOf } from "../domain/payer.ts";
import { hasRunEnded } from "../domain/run.ts";
import type { StepState } from "../domain/state.ts";
import { Rest } from "./ends.ts";
import { type OnceScope, once } from "./once.ts";
import { safeContent } from "./safe-content.ts";

/** The context of one attempt. Everything in it that waits or touches the world is journaled under its key. */
export function createContext(scope: OnceScope): ActionContext {
  const { parts, journal, step, attempt, signal } = scope;
  const { request } = journal.state;
  return {
    run: {
      id: journal.claim.run,
      workflow: request.workflow.name,
      tenant: request.tenant,
      title: request.title,
      inputs: request.inputs,
      payer: payerOf(journal.claim.run, request),
    },
    step: { id: step, attempt },
    signal,
    clock: parts.clock,
    once: (key, effect) => once(scope, key, effect),
    now: (key) =>
      once(scope, key, {
        effect: "pure",
        request: "clock",
        label: "clock",
        perform: async () => parts.clock.now(),
      }),
    random: (key) =>
      once(scope, key, {
        effect: "pure",
        request: "chance",
        label: "chance",
        perform: async () => parts.random(),
      }),
    waitForSignal: async (key, wait) => waitForSignal(scope, key, wait),
    sleep: async (key, ms) => {
      if (!stepOf(scope).resolved.has(key))
        throw new Rest([{ key, on: "timer", until: parts.clock.now() + ms }]);
    },
    askApproval: async (key, ask) => askApproval(scope, key, ask),
    startChild: (key, child) => startChild(scope, key, child),
    waitForChild: async (key, run, timeoutMs) => waitForChild(scope, { key, run, timeoutMs }),
    send: async (key, message) => send(scope, key, message),
    note: (name, data) => journal.stage([{ kind: "noted", step, name, data }]),
    publish: (name, data) =>
      parts.live.publish({ run: journal.claim.run, step, name, at: parts.clock.now(), data }),
    saveArtifact: (artifact) => saveArtifact(scope, artifact),
    facts: () => journal.facts,
  };
}

function stepOf(scope: OnceScope): StepState {
  const state = scope.journal.state.steps.get(scope.step);
  if (!state) throw new FailureError(failure("internal", `step ${scope.step} has no state`));
  return state;
}

function until(scope: OnceScope, timeoutMs: number | undefined): number | null {
  return timeoutMs === undefined ? null : scope.parts.clock.now() + timeoutMs;
}

function waitForSignal(
  scope: OnceScope,
  key: string,
  wait: { readonly name: string; readonly timeoutMs?: number },
): { body: Json; from: string } | null {
  const over = stepOf(scope).resolved.get(key);
  if (!over) throw new Rest([{ key, on: "signal", name: wait.name, until: until(scope, wait.timeoutMs) }]);
  const signal = scope.journal.state.signals.find((one) => one.id === over.signal);
  return signal ? { body: signal.body, from: signal.from } : null;
}

type Asked = Awaited<ReturnType<ActionContext["askApproval"]>>;

function askApproval(scope: OnceScope, key: string, ask: Parameters<ActionContext["askApproval"]>[1]): Asked {
  const { journal, parts, step, attempt } = scope;
  const id = `apr_${parts.hash(`${journal.claim.run}/${step}/${attempt}/${key}`).slice(0, 20)}`;
  const known = journal.state.approvals.get(id);
  if (known?.answer) return { answer: known.answer, by: known.by, comment: known.comment };
  const expiresAt = known ? known.request.expiresAt : until(scope, ask.timeoutMs);
  if (!known) {
    const request = { id, title: ask.title, details: ask.details, risk: ask.risk, expiresAt };
    journal.stage([{ kind: "approval_requested", step, approval: request }], {
      approvals: [{ step, request }],
    });
  }
  throw new Rest([{ key, on: "approval", approval: id, until: expiresAt }]);
}

async function startChild(
  scope: OnceScope,
  key: string,
  child: Parameters<ActionContext["startChild"]>[1],
): Promise<string> {
  const { journal, parts, step, attempt } = scope;
  const childKey = `${attempt}/${key}`;
  for (const known of journal.state.children.values()) {
    if (known.step === step && known.key === childKey) return known.run;
  }
  const parent = journal.state.request;
  const depth = (parent.parent?.depth ?? 0) + 1;
  if (depth > LIMITS.childDepth)
    throw new FailureError(failure("limit_exceeded", `child runs nest deeper than ${LIMITS.childDepth}`));
  if (journal.state.children.size >= LIMITS.childrenPerRun) {
    throw new FailureError(failure("limit_exceeded", `a run may have ${LIMITS.childrenPerRun} child runs`));
  }
  const prepared = await parts.prepareChild(child, parent);
  if (!prepared.ok) throw new FailureError(prepared.failure);
  const at = parts.clock.now();
  const id = newId("run", at, parts.random);
  const request = {
    ...prepared.value,
    parent: { run: journal.claim.run, step, depth },
    // What a child spends is spent by those above it too.
    lineage: lineageBelow(journal.claim.run, parent),
    ...(parent.principal !== undefined && { principal: parent.principal }),
  };
  await journal.record([{ kind: "child_started", step, key: childKey, run: id, workflow: child.workflow }], {
    children: [{ id, request, idempotency: null, at }],
  });
  return id;
}

type ChildEnd = Awaited<ReturnType<ActionContext["waitForChild"]>>;

function waitForChild(
  scope: OnceScope,
  wait: { readonly key: string; readonly run: string; readonly timeoutMs: number | undefined },
): ChildEnd {
  const ended = scope.journal.state.children.get(wait.run)?.ended;
  if (ended) return ended;
  if (stepOf(scope).resolved.has(wait.key)) return null;
  const rest: Wait = { key: wait.key, on: "child", run: wait.run, until: until(scope, wait.timeoutMs) };
  throw new Rest([rest]);
}

async function send(
  scope: OnceScope,
  key: string,
  message: Parameters<ActionContext["send"]>[1],
): Promise<void> {
  const { journal, parts, step, attempt } = scope;
  const id = `msg_${parts.hash(`${journal.claim.run}/${step}/${attempt}/${key}`).slice(0, 20)}`;
  if (journal.state.sent.has(id)) return;
  const size = canonicalJson(message.body).length;
  if (size > LIMITS.signalBytes) {
    throw new FailureError(
      failure("limit_exceeded", `the message's body has ${size} bytes, the limit is ${LIMITS.signalBytes}`),
    );
  }
  const { to, name, body } = message;
  const target = await parts.runs.run(to);
  if (!target) throw new FailureError(failure("not_found", `there is no run "${to}" to send "${name}" to`));
  if (hasRunEnded(target.status)) {
    throw new FailureError(
      failure("run_ended", `the run "${to}" has ${target.status}: "${name}" cannot reach it`),
    );
  }
  const posting = {
    run: to,
    id,
    kind: "message" as const,
    name,
    body,
    from: `run:${journal.claim.run}`,
    at: parts.clock.now(),
  };
  await journal.record([{ kind: "message_sent", step, to, name, id, body }], { posts: [posting] });
}

async function saveArtifact(
  scope: OnceScope,
  artifact: Parameters<ActionContext["saveArtifact"]>[0],
): Promise<Awaited<ReturnType<ActionContext["saveArtifact"]>>> {
  const { journal, parts, step } = scope;
  const { content, found } = safeContent(artifact, parts.redactor);
  const stored = await parts.artifacts.put(content);
  const { content: _, ...about } = artifact;
  const saved = { ...about, ...stored, id: freeId(scope, artifact.name, stored.sha256) };
  const known = journal.state.artifacts.get(saved.id);
  if (known) return known;
  journal.stage([{ kind: "artifact_saved", step, artifact: saved }]);
  if (found !== null) {
    const data = { artifact: saved.id, kinds: found };
    journal.stage([{ kind: "noted", step, name: "artifact_redacted", data }]);
  }
  return saved;
}

/** The name itself, or `name-2`, `name-3` … for another content under the same name; the same content keeps its id. */
function freeId(scope: OnceScope, name: string, sha256: string): string {
  const { artifacts } = scope.journal.state;
  const safe = name.replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  const dot = safe.lastIndexOf(".");
  for (let n = 1; ; n += 1) {
    const id = n === 1 ? safe : dot > 0 ? `${safe.slice(0, dot)}-${n}${safe.slice(dot)}` : `${safe}-${n}`;
    const taken = artifacts.get(id);
    if (!taken || taken.sha256 === sha256) return id;
  }
}
