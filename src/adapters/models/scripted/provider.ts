import type { Clock } from "../../../base/clock.ts";
import { nearest } from "../../../base/text.ts";
import type {
  ModelCallOptions,
  ModelProvider,
  ModelReply,
  ModelRequest,
  ModelResult,
} from "../../../contracts/model-provider.ts";
import { type Failure, failure } from "../../../domain/errors.ts";
import { chooseTurn } from "../script/choose.ts";
import { FAULT_CODES, type Fault, FaultLedger } from "../script/faults.ts";
import { type Played, playTurn } from "../script/play.ts";
import type { Script } from "../script/schema.ts";
import type { Sent } from "../script/sent.ts";

export interface ScriptedSettings {
  /** By their names, which are the names of the models: `scripted/<name>` or `scripted/<name>/<agent>`. */
  readonly scripts: readonly Script[];
  readonly clock: Clock;
}

const DELTA_CHARS = 24;

/**
 * A model that plays a script. What it answers follows from the script and the request alone (see
 * `docs/reference/scripted-model.md`); only faults that happen a number of times are counted in memory.
 */
export function scriptedProvider(settings: ScriptedSettings): ModelProvider {
  const scripts = new Map(settings.scripts.map((script) => [script.name, script]));
  const ledger = new FaultLedger();
  return {
    name: "scripted",
    generate: (request, options) => generate({ scripts, ledger, clock: settings.clock }, request, options),
    health: async () =>
      scripts.size === 0
        ? { status: "unconfigured", detail: "no script is loaded" }
        : { status: "ok", detail: `plays ${[...scripts.keys()].join(", ")}` },
    models: async () => [...scripts.keys()],
  };
}

interface Stage {
  readonly scripts: ReadonlyMap<string, Script>;
  readonly ledger: FaultLedger;
  readonly clock: Clock;
}

async function generate(
  stage: Stage,
  request: ModelRequest,
  options: ModelCallOptions,
): Promise<ModelResult> {
  const started = stage.clock.now();
  const [name, ...rest] = request.model.split("/");
  const script = stage.scripts.get(name ?? "");
  if (script === undefined) return { ok: false, failure: unknownScript(name ?? "", stage.scripts) };
  const sent: Sent = {
    system: request.system,
    messages: request.messages,
    tools: request.tools.map((tool) => tool.name),
    json: request.json !== undefined,
  };
  const choice = chooseTurn(script, sent, rest.length === 0 ? null : rest.join("/"));
  if (!choice.ok) return choice;
  const fault = stage.ledger.next(choice.value, sent);
  await pause(stage.clock, options.signal, choice.value.turn.delay_ms ?? 0);
  if (fault?.kind === "hang") await pause(stage.clock, options.signal, Number.POSITIVE_INFINITY);
  if (options.signal.aborted) return canceled(choice.value.label);
  if (fault !== null) return faulty(fault, choice.value.label);
  const played = playTurn(choice.value, sent);
  if (!played.ok) return played;
  const firstTokenMs = stage.clock.now() - started;
  await speak(stage.clock, played.value, { ...options, paceMs: choice.value.turn.pace_ms ?? 0 });
  if (options.signal.aborted) return canceled(choice.value.label);
  return {
    ok: true,
    reply: reply(played.value, { ...request, firstTokenMs, ms: stage.clock.now() - started }),
  };
}

function reply(
  played: Played,
  call: { readonly model: string; readonly firstTokenMs: number; readonly ms: number },
): ModelReply {
  return { ...played, model: call.model, firstTokenMs: call.firstTokenMs, ms: call.ms };
}

async function speak(
  clock: Clock,
  played: Played,
  how: ModelCallOptions & { readonly paceMs: number },
): Promise<void> {
  const pieces = (text: string) => text.match(new RegExp(`[^]{1,${DELTA_CHARS}}`, "gu")) ?? [];
  const deltas = [
    ...pieces(played.reasoning).map((text) => ({ kind: "reasoning" as const, text })),
    ...pieces(played.text).map((text) => ({ kind: "text" as const, text })),
    ...played.toolCalls.map((call) => ({
      kind: "tool" as const,
      text: `${call.name} ${JSON.stringify(call.input)}`,
    })),
  ];
  for (const [index, delta] of deltas.entries()) {
    if (index > 0) await pause(clock, how.signal, how.paceMs);
    if (how.signal.aborted) return;
    how.onDelta?.(delta);
  }
}

function faulty(fault: Fault, label: string): ModelResult {
  const failed = failure(FAULT_CODES[fault.kind], `${label} plays the fault "${fault.kind}"`);
  return fault.retryAfterMs === undefined
    ? { ok: false, failure: failed }
    : { ok: false, failure: failed, retryAfterMs: fault.retryAfterMs };
}

function canceled(label: string): ModelResult {
  return { ok: false, failure: failure("canceled", `the call was canceled while ${label} was played`) };
}

function unknownScript(name: string, scripts: ReadonlyMap<string, Script>): Failure {
  const near = nearest(name, scripts.keys());
  const hint = near === null ? "" : ` Did you mean "scripted/${near}"?`;
  const known = scripts.size === 0 ? "No script is loaded." : `Loaded: ${[...scripts.keys()].join(", ")}.`;
  return failure("model_unknown", `no script is named "${name}". ${known}${hint}`);
}

/** Resolves after `ms`, or as soon as the signal aborts; `Infinity` waits for the signal alone. */
function pause(clock: Clock, signal: AbortSignal, ms: number): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = Number.isFinite(ms) ? clock.after(ms, done) : () => {};
    signal.addEventListener("abort", done, { once: true });
  });
}
