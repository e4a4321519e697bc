import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { packageFile } from "../../app/package-files.ts";
import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { CallRecord } from "../../contracts/model-gateway.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Event, EventPage } from "../../http/api.ts";
import type { Client } from "../client.ts";
import { EXIT } from "../exit.ts";
import type { Terminal } from "../terminal.ts";
import { indent, plural } from "../text.ts";

/** Real names, so that the catalogue prefers the first for its quality and goes back to it as long as it may. */
const FIRST = "anthropic/claude-opus-5-5";
const SECOND = "openai/gpt-5";
/** In the middle of this answer the first provider dies. */
const DIES_AT = 3;
/** Slow enough to be in the middle of it. */
const PACE_MS = 25;
const START_MS = 30_000;
const STOP_MS = 15_000;

/** One model call of the run, as the journal has it. */
export interface OutageCall {
  readonly call: number;
  /** `provider/model` that answered. */
  readonly by: string;
  /** What became of each attempt: `provider: code`. */
  readonly attempts: readonly string[];
  /** Which candidate was out of order when the last attempt was routed, and why. */
  readonly out: string | null;
  /** The breaker let this one call through, to see whether the dead provider is back. */
  readonly probe: boolean;
}

export interface OutageProof {
  readonly calls: readonly OutageCall[];
  /** Calls that met the dead provider and were answered by the other one. */
  readonly failed_over: number;
  /** The call in which the breaker opened; `null` when it did not. */
  readonly open_at: number | null;
  /** Calls after that which did not try it any more, and those that did as its probe. */
  readonly spared: number;
  readonly probes: number;
}

export interface Providers {
  readonly model: string;
  readonly env: Readonly<Record<string, string>>;
  /** How the first one died; `null` when it was still there at the end. */
  readonly died: Promise<string | null>;
  stop(): Promise<void>;
}

/** Two providers, each a process of its own behind its own wire protocol; the first will die halfway through an answer. */
export async function startProviders(): Promise<Providers> {
  const dying = startFake(["--pace", String(PACE_MS), "--outage-at", String(DIES_AT), "--outage", "dies"]);
  const staying = startFake([]);
  const both = [dying, staying];
  const stop = async () => {
    await Promise.all(both.map((one) => end(one.child)));
  };
  try {
    const [first, second] = await Promise.all([dying.url, staying.url]);
    return {
      model: `${FIRST},${SECOND}`,
      env: {
        ANTHROPIC_BASE_URL: `${first}`,
        ANTHROPIC_API_KEY: "fake",
        OPENAI_BASE_URL: `${second}/v1`,
        OPENAI_API_KEY: "fake",
        AGENT_RUNNER_MODEL_POLICY: "quality-first",
        AGENT_RUNNER_MODEL_ALLOW: "",
        AGENT_RUNNER_MODEL_DENY: "",
      },
      died: dying.died,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Fake {
  readonly child: ChildProcess;
  readonly url: Promise<string>;
  readonly died: Promise<string | null>;
}

function startFake(more: readonly string[]): Fake {
  const [, main = ""] = process.argv;
  const script = packageFile("examples", "demo-script.yaml");
  const args = [...process.execArgv, main, "fake-models", "--json", "--until-stdin-ends", "--script", script];
  const child = spawn(process.execPath, [...args, ...more], {
    stdio: ["pipe", "pipe", "inherit"],
    // Out of reach of Ctrl-C, which is meant for the run: it ends with its stdin.
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  const died = new Promise<string | null>((resolve) => {
    child.once("exit", (code, signal) => resolve(code === 0 ? null : (signal ?? `exit code ${code}`)));
  });
  return { child, url: readUrl(child, died), died };
}

/** The first document on its stdout says where it listens. */
async function readUrl(child: ChildProcess, died: Promise<string | null>): Promise<string> {
  const refuse = (why: string) => {
    throw new FailureError(failure("internal", `the fake provider of the demo did not start: ${why}`));
  };
  const timer = Promise.withResolvers<never>();
  const late = setTimeout(() => timer.reject(new Error(`silent for ${START_MS} ms`)), START_MS);
  const read = async () => {
    if (child.stdout === null) return refuse("it has no stdout");
    for await (const line of createInterface({ input: child.stdout })) {
      const found = /"url": "(http:[^"]+)"/.exec(line)?.[1];
      if (found !== undefined) return found;
    }
    return refuse(`it ended (${await died})`);
  };
  try {
    return await Promise.race([read(), timer.promise]);
  } finally {
    clearTimeout(late);
    child.stdout?.resume();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(timer);
}

/** Reads the journal back: who answered each call, who was tried first, and who was no longer asked. */
export async function readOutage(client: Client, run: string): Promise<OutageProof> {
  const calls: OutageCall[] = [];
  for (let after = 0; ; ) {
    const page = await client.get<EventPage>(`/runs/${run}/events?after=${after}`);
    for (const event of page.events) {
      const record = recordOf(event);
      if (record !== null) calls.push(callOf(record, calls));
    }
    if (page.events.length === 0) break;
    after = page.next_after;
  }
  const openAt = calls.find((one) => one.out !== null)?.call ?? null;
  return {
    calls,
    failed_over: calls.filter((one) => one.attempts.length > 1).length,
    open_at: openAt,
    spared: calls.filter((one) => one.out !== null && one.attempts.length === 1).length,
    probes: calls.filter((one) => one.probe).length,
  };
}

function recordOf(event: Event): CallRecord | null {
  if (event.kind !== "effect_recorded") return null;
  const { result } = event.data as JsonObject;
  const value = isJsonObject(result) ? result.value : null;
  const record = isJsonObject(value) ? value.record : null;
  return isJsonObject(record) && Array.isArray(record.attempts) ? (record as unknown as CallRecord) : null;
}

function callOf(record: CallRecord, before: readonly OutageCall[]): OutageCall {
  const answered = record.attempts.at(-1);
  // What has a score fits the call; what is excluded all the same is out of order.
  const avoided = record.candidates.find((one) => one.score !== null && one.excluded !== undefined);
  return {
    call: before.length + 1,
    by: `${answered?.provider}/${answered?.model}`,
    attempts: record.attempts.map((attempt) => `${attempt.provider}: ${attempt.code}`),
    out: avoided === undefined ? null : `${avoided.provider} ${avoided.excluded}`,
    probe: record.attempts.length > 1 && before.some((one) => one.out !== null),
  };
}

/** The calls as a table, and what they prove; the exit code. */
export function tellOutage(terminal: Terminal, proof: OutageProof): number {
  terminal.say(`\n${terminal.mark("bold", "The outage, as the journal has it")}`);
  for (const one of proof.calls) {
    const head = `call ${String(one.call).padStart(2)}  ${one.by.padEnd(FIRST.length)}`;
    const tried = one.attempts.length > 1 ? `${one.probe ? "probe: " : ""}${one.attempts.join(" → ")}` : "";
    const why = one.out === null ? "" : `(${one.out})`;
    const line = indent(`${head}  ${[tried, why].filter(Boolean).join("  ")}`.trimEnd());
    terminal.say(one.attempts.length > 1 ? terminal.mark("red", line) : line);
  }
  if (proof.failed_over === 0 || proof.open_at === null) {
    terminal.say("The run ended before the outage could show anything.");
    return EXIT.failed;
  }
  const probes = proof.probes === 0 ? "" : `, but for ${plural(proof.probes, "probe")}`;
  const line =
    `${plural(proof.calls.length, "model call")}, all answered. ${plural(proof.failed_over, "call")} met the dead provider and ` +
    `went to the other model at once. In call ${proof.open_at} its breaker opened: ${plural(proof.spared, "later call")} ` +
    `did not try it any more${probes}.`;
  terminal.say(`\n${terminal.mark("green", line)}`);
  return EXIT.ok;
}
