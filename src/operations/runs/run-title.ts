import { isJsonObject, type Json } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Workflow } from "../../domain/workflow.ts";

/** What a run is called when nobody named it: its title or task input, else its workflow. */
export function titleOf(workflow: Workflow, inputs: Json): string {
  const fields = isJsonObject(inputs) ? [inputs.title, inputs.task] : [];
  const text = fields.find((field) => typeof field === "string" && field.trim() !== "");
  const firstLine = typeof text === "string" ? (text.trim().split("\n")[0] ?? "") : workflow.name;
  return firstLine.slice(0, LIMITS.titleChars);
}
