import type { Json } from "../../base/json.ts";
import { redactJson } from "../../domain/redact.ts";
import type { Parts } from "../parts.ts";

/** Plain data of a run as its readers may see it. The journal keeps what was given to the run, which needs it. */
export function shown<T>({ redactor }: Pick<Parts, "redactor">, data: T): T {
  if (redactor === undefined) return data;
  return redactJson(redactor, data as unknown as Json, "certain").value as unknown as T;
}
