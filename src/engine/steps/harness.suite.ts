import { canonicalJson, type Json, type JsonObject } from "../../base/json.ts";
import type { Action, ActionContext, Effect } from "../../contracts/action.ts";
import type { Artifact } from "../../domain/artifact.ts";
import { NOBODY } from "../../domain/budget.ts";
import type { EffectResult } from "../../domain/effect.ts";
import { type Failure, FailureError, failure } from "../../domain/errors.ts";
import type { Fact, FactBody } from "../../domain/fact.ts";
import type { EndedRunStatus } from "../../domain/run.ts";
import { sha256 } from "./digest.ts";

/** The process died here: nothing that was in memory is left. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** The step rests: what it waits for is not there yet. */
export class Rests extends Error {
  override readonly name = "Rests";
}

interface Recorded {
  readonly requestHash: string;
  result: EffectResult | null;
}

/** What survives a crash, and what the world outside has answered. */
export class Journal {
  readonly effects = new Map<string, Recorded>();
  readonly facts: Fact[] = [];
  readonly contents = new Map<string, string>();
  /** Answers of people, signals and children, by key; given by the test. */
  readonly answers = new Map<string, Awaited<ReturnType<ActionContext["askApproval"]>>>();
  readonly signals = new Map<string, { readonly body: Json; readonly from: string } | null>();
  readonly children = new Map<
    string,
    { readonly status: EndedRunStatus; readonly output: Json; readonly failure: Failure | null }
  >();
  readonly slept = new Set<string>();
  readonly asked: string[] = [];
  readonly started: { readonly workflow: string; readonly inputs: Json }[] = [];
  readonly sent: Json[] = [];
  /** Keys in the order in which they were carried out, again after a crash if need be. */
  readonly performed: string[] = [];

  constructor() {
    const workflow = { name: "w", version: "1", hash: "h" };
    const base = { title: "A run", tenant: "t", queue: "q", priority: 1, deadlineAt: null, parent: null };
    this.add({ kind: "run_queued", request: { workflow, inputs: { task: "x" }, ...base } });
    this.add({ kind: "run_started", worker: "w1" });
  }

  add(body: FactBody): void {
    this.facts.push({ ...body, seq: this.facts.length + 1, at: 1_000 + this.facts.length });
  }

  notes(name: string): readonly JsonObject[] {
    return this.facts.flatMap((fact) => (fact.kind === "noted" && fact.name === name ? [fact.data] : []));
  }
}

export interface Life {
  readonly step?: string;
  readonly attempt?: number;
  readonly signal?: AbortSignal;
  /** Dies at this boundary, counted from 1: each effect has one before, one after its intent, one after its deed, one after its record. */
  readonly crashAt?: number;
  readonly onPublish?: (name: string, data: JsonObject) => void;
}

export const RUN = "run_0123456789abcdef";

/** An ActionContext over a journal in memory. One life: after a crash a new context is made over the same journal. */
export function contextOver(journal: Journal, life: Life = {}): ActionContext & { boundaries(): number } {
  const step = life.step ?? "work";
  const attempt = life.attempt ?? 1;
  const signal = life.signal ?? new AbortController().signal;
  let boundaries = 0;
  let dead = false;
  const boundary = (): void => {
    boundaries += 1;
    if (dead || boundaries === life.crashAt) {
      dead = true;
      throw new Crash(`at boundary ${boundaries}`);
    }
  };
  const alive = (): void => {
    if (dead) throw new Crash("after the crash");
  };

  async function once<T extends Json>(name: string, effect: Effect<T>): Promise<T> {
    const key = `${attempt}/${name}`;
    const requestHash = sha256(canonicalJson(effect.request));
    const known = journal.effects.get(key);
    if (known && known.requestHash !== requestHash) {
      throw new FailureError(failure("replay_mismatch", `${name} asks for something else than before`));
    }
    if (known?.result) return unwrap<T>(known.result);
    boundary();
    const call = { idempotencyKey: sha256(key), signal };
    const recorded: Recorded = known ?? { requestHash, result: null };
    const found = known && effect.effect === "query" ? ((await effect.query?.(call)) ?? null) : null;
    if (known && effect.effect === "manual") {
      throw new FailureError(failure("uncertain_effect", `${name} may have happened`));
    }
    // As in the engine: of a pure effect nothing is written before its outcome.
    if (effect.effect !== "pure") journal.effects.set(key, recorded);
    boundary();
    const result =
      found === null ? await deed(() => effect.perform(call)) : { ok: true as const, value: found };
    if (found === null) journal.performed.push(name);
    boundary();
    recorded.result = result;
    journal.effects.set(key, recorded);
    const { label } = effect;
    journal.add({ kind: "effect_recorded", step, attempt, key: name, requestHash, result, label, ms: 1 });
    boundary();
    return unwrap<T>(result);
  }

  async function deed(perform: () => Promise<Json>): Promise<EffectResult> {
    try {
      return { ok: true, value: JSON.parse(JSON.stringify(await perform())) as Json };
    } catch (thrown) {
      if (signal.aborted || thrown instanceof Crash || !(thrown instanceof FailureError)) throw thrown;
      return { ok: false, failure: thrown.failure };
    }
  }

  return {
    run: { id: RUN, workflow: "w", tenant: "t", title: "A run", inputs: { task: "x" }, payer: NOBODY },
    step: { id: step, attempt },
    signal,
    clock: { now: () => Date.now(), after: realTimer },
    once,
    now: (key) =>
      once(key, { effect: "pure", request: "now", label: "clock", perform: async () => Date.now() }),
    random: (key) =>
      once(key, { effect: "pure", request: "random", label: "chance", perform: async () => Math.random() }),
    waitForSignal: async (key) => {
      const got = journal.signals.get(key);
      if (got === undefined) throw new Rests(key);
      return got;
    },
    sleep: async (key) => {
      if (!journal.slept.has(key)) throw new Rests(key);
    },
    askApproval: async (key, ask) => {
      const answer = journal.answers.get(key);
      if (answer) return answer;
      if (!journal.asked.includes(key)) journal.asked.push(key);
      throw new Rests(ask.title);
    },
    startChild: async (_key, child) => {
      journal.started.push({ workflow: child.workflow, inputs: child.inputs });
      return "run_child";
    },
    waitForChild: async (key) => {
      const ended = journal.children.get(key);
      if (!ended) throw new Rests(key);
      return ended;
    },
    send: async (_key, message) => {
      journal.sent.push(message);
    },
    note: (name, data) => {
      alive();
      journal.add({ kind: "noted", step, name, data });
    },
    publish: (name, data) => life.onPublish?.(name, data),
    saveArtifact: async (given) => {
      alive();
      const content =
        typeof given.content === "string" ? given.content : Buffer.from(given.content).toString("utf8");
      const { name, kind, mediaType } = given;
      const artifact: Artifact = {
        id: name,
        name,
        kind,
        mediaType,
        bytes: Buffer.byteLength(content),
        sha256: sha256(content),
      };
      journal.contents.set(name, content);
      journal.add({ kind: "artifact_saved", step, artifact });
      return artifact;
    },
    facts: () => [...journal.facts],
    boundaries: () => boundaries,
  };
}

function realTimer(ms: number, wake: () => void): () => void {
  const timer = setTimeout(wake, Math.min(ms, 2 ** 31 - 1));
  return () => clearTimeout(timer);
}

function unwrap<T extends Json>(result: EffectResult): T {
  if (!result.ok) throw new FailureError(result.failure);
  return result.value as T;
}

export type Ended =
  | { readonly ok: true; readonly output: JsonObject }
  | { readonly ok: false; readonly failure: Failure };

/** One life of an action: its output or its failure. A crash, a rest and a defect are thrown. */
export async function act(action: Action, input: Json, context: ActionContext): Promise<Ended> {
  const parsed = action.parse(input);
  if (!parsed.ok) return parsed;
  try {
    return { ok: true, output: (await action.perform(parsed.value, context)) as JsonObject };
  } catch (thrown) {
    if (thrown instanceof FailureError) return { ok: false, failure: thrown.failure };
    throw thrown;
  }
}
