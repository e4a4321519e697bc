import type { Json } from "../../base/json.ts";
import type { LiveEvent } from "../../contracts/live.ts";
import type { Fact } from "../../domain/fact.ts";
import { redactJson } from "../../domain/redact.ts";
import type { Parts } from "../parts.ts";

/** An event as its readers may see it. The journal keeps what was given to the run, which needs it. */
export function shown<T extends Fact | LiveEvent>({ redactor }: Pick<Parts, "redactor">, event: T): T {
  if (redactor === undefined) return event;
  return redactJson(redactor, event as unknown as Json, "certain").value as unknown as T;
}
