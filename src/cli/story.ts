import { formatDuration } from "../base/duration.ts";
import { isJsonObject, type Json, type JsonObject } from "../base/json.ts";
import type { Event, LiveEvent } from "../http/api.ts";
import { oneLine, plain } from "./text.ts";

/** How a line is meant, for its colour. */
export type Tone = "plain" | "dim" | "good" | "bad" | "ask" | "said";

export interface Line {
  readonly text: string;
  readonly tone: Tone;
}

/** Kinds of facts whose text is told, with their tone; others are told with `verbose` only. */
const TOLD: Readonly<Record<string, Tone | undefined>> = {
  run_queued: "dim",
  run_resumed_by: "ask",
  run_paused: "ask",
  run_unpaused: "plain",
  sla_breached: "bad",
  cancel_requested: "ask",
  signal_received: "plain",
  approval_requested: "ask",
  approval_answered: "plain",
  approval_expired: "bad",
  child_started: "plain",
  child_ended: "plain",
  artifact_saved: "dim",
  step_started: "plain",
  step_expanded: "dim",
  step_retrying: "bad",
  retry_budget_exhausted: "bad",
  step_succeeded: "good",
  step_failed: "bad",
  step_skipped: "dim",
  step_canceled: "bad",
  effect_uncertain: "ask",
};
/** Notes that only say what other lines say better. */
const QUIET_NOTES: ReadonlySet<string> = new Set(["turn_started", "turn_finished", "gates_wrote"]);
const BAD_NOTES: ReadonlySet<string> = new Set(["call_refused", "agent_warned", "gates_absent"]);
const TOOL_KEY = /\/tool\/\d+$/;
const MODEL_KEY = /(^|\/)model(\/compacted)?$/;
/** The argument of a tool call that says most about it. */
const TELLING = /"(?:path|command|pattern|query)":"((?:[^"\\]|\\.)*)"?/;

/** A fact as one line for whoever watches a run; `null` for what is not worth one. */
export function lineOf(
  event: Event,
  options: { readonly width: number; readonly verbose: boolean },
): Line | null {
  const { width, verbose } = options;
  const { data, kind } = event as { readonly data: JsonObject; readonly kind: string };
  if (kind === "effect_recorded") return effectLine(event.step ?? "", data, options);
  if (event.text === null) return null;
  const text = oneLine(event.text, width);
  if (kind === "noted") {
    const name = typeof data.name === "string" ? data.name : "";
    if (QUIET_NOTES.has(name) && !verbose) return null;
    return { text, tone: noteTone(name, data.data) };
  }
  const tone = TOLD[kind];
  if (tone !== undefined) return { text, tone };
  return verbose ? { text, tone: "dim" } : null;
}

function noteTone(name: string, data: Json | undefined): Tone {
  if (name === "gate_finished") return isJsonObject(data) && data.passed === true ? "good" : "bad";
  return BAD_NOTES.has(name) ? "bad" : "plain";
}

function effectLine(
  step: string,
  data: JsonObject,
  { width, verbose }: { readonly width: number; readonly verbose: boolean },
): Line | null {
  const key = typeof data.key === "string" ? data.key : "";
  const label = typeof data.label === "string" ? data.label : key;
  const result = isJsonObject(data.result) ? data.result : {};
  const took = typeof data.ms === "number" ? ` (${formatDuration(data.ms)})` : "";
  const value = isJsonObject(result.value) ? result.value : {};
  if (TOOL_KEY.test(key)) {
    const failed = result.ok !== true || value.isError === true;
    const text = oneLine(`${step}: ${toolLabel(label)}${failed ? " ✗" : ""}${took}`, width);
    return { text, tone: "dim" };
  }
  if (MODEL_KEY.test(key)) {
    const said = isJsonObject(value.reply) && typeof value.reply.text === "string" ? value.reply.text : "";
    if (said.trim() !== "")
      return { text: oneLine(`${step}: “${said.trim()}`, width - 1).concat("”"), tone: "said" };
    return verbose ? { text: oneLine(`${step}: ${label}${took}`, width), tone: "dim" } : null;
  }
  return verbose ? { text: oneLine(`${step}: ${label}${took}`, width), tone: "dim" } : null;
}

/** `edit {"path":"src/a.js",…` → `edit src/a.js` */
function toolLabel(label: string): string {
  const [tool = ""] = label.split(" ", 1);
  const telling = TELLING.exec(label.split("\n")[0] ?? "")?.[1];
  return telling === undefined ? tool : `${tool} ${telling.replaceAll(/\\(["\\])/g, "$1")}`;
}

/** What a live event adds to a text that is streamed; empty when nothing. */
export function liveText(event: LiveEvent): string {
  const { text } = event.data;
  const streams = event.name === "delta" || event.name === "output";
  return streams && typeof text === "string" ? plain(text) : "";
}
