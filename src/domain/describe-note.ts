import { formatDuration } from "../base/duration.ts";
import type { Json, JsonObject } from "../base/json.ts";

/** A line of a step's own story, for people; of a name that is not known here, the name. */
export function describeNote(name: string, data: JsonObject): string {
  switch (name) {
    case "workspace_ready":
      return `branch ${text(data.branch)}, from ${text(data.base_commit).slice(0, 12)}`;
    case "turn_started":
      return `turn ${text(data.turn)}`;
    case "turn_finished": {
      const calls =
        Array.isArray(data.calls) && data.calls.length > 0 ? data.calls.map(text).join(", ") : "no calls";
      return `turn ${text(data.turn)} finished: ${calls}`;
    }
    case "gate_finished":
      return `gate ${text(data.gate)} ${gateEnd(data)}`;
    case "gates_absent":
      return "the repository has no gates";
    case "gates_definition_changed":
      return `the change touches ${text(data.file)}, which defines the gates`;
    case "gates_wrote":
      return "the gates wrote files, so they judge once more";
    case "agent_warned":
      return `warned: ${text(data.text)}`;
    case "budget_warned":
      return `budget: ${text(data.text)}`;
    case "call_refused":
      return `${text(data.tool)} refused: ${text(data.reason)}`;
    case "reply_heard":
      return `heard what ${text(data.from)} said`;
    case "context_compacted":
      return "the history was compacted";
    case "base_moved":
      return `${text(data.base)} has moved since`;
    case "message_fallback":
      return `the commit message was made without a model: ${text(data.reason)}`;
    case "task_read":
      return data.by === "model"
        ? `the task was read by ${text(data.model)}`
        : `the task was read by rules: ${text(data.reason)}`;
    case "artifact_redacted":
      return `secrets were kept out of ${text(data.artifact)}`;
    default:
      return name;
  }
}

function gateEnd(data: JsonObject): string {
  const took = typeof data.ms === "number" ? ` in ${formatDuration(data.ms)}` : "";
  if (data.passed === true) return `passed${took}`;
  const how = data.timed_out === true ? "ran out of time" : `failed with exit code ${text(data.exit_code)}`;
  return `${how}${took}${data.required === false ? " (not required)" : ""}`;
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
