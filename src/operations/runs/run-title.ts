import { isJsonObject, type Json } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Workflow } from "../../domain/workflow.ts";

/** What a run is called when nobody named it: its title or task input (text, or a TaskSpec's title), else its workflow. */
export function titleOf(workflow: Workflow, inputs: Json): string {
  const given = isJsonObject(inputs) ? inputs : {};
  const fields = [given.title, isJsonObject(given.task) ? given.task.title : given.task];
  const text = fields.find((field) => typeof field === "string" && field.trim() !== "");
  const firstLine = typeof text === "string" ? (text.trim().split("\n")[0] ?? "") : workflow.name;
  return firstLine.slice(0, LIMITS.titleChars);
}
