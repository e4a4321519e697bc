import type { Mediated } from "../../contracts/mediator.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { TaskSpec } from "../../domain/task.ts";
import { readTaskText } from "../../domain/task-text.ts";
import { checkText } from "../check-json.ts";
import type { Parts } from "../parts.ts";

/** A loosely written task as a TaskSpec, and who read it. Nothing is started and nothing kept. */
export async function readTask(
  parts: Pick<Parts, "mediator">,
  of: { readonly text: string; readonly signal: AbortSignal },
): Promise<Result<Mediated<TaskSpec>>> {
  const checked = checkText("text", of.text, LIMITS.textChars);
  if (!checked.ok) return checked;
  if (parts.mediator !== undefined) return ok(await parts.mediator.readTask(of.text, { signal: of.signal }));
  const reason = "no mediator model is configured";
  return ok({ value: readTaskText(of.text), by: "rules", reason });
}
