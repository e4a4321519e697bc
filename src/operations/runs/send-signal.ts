import type { Json } from "../../base/json.ts";
import { fail, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { RunSummary } from "../../domain/run.ts";
import { checkJson } from "../check-json.ts";
import { type PostingParts, postToRun } from "./post-to-run.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$/;

/** A named message to a run, kept until a step waits for it. The same `id` again changes nothing. */
export async function sendSignal(
  parts: PostingParts,
  signal: {
    readonly run: string;
    readonly name: string;
    readonly body: Json;
    readonly id?: string;
    readonly from: string;
  },
): Promise<Result<RunSummary>> {
  if (!NAME.test(signal.name)) {
    return fail(
      "invalid_request",
      `name is ${JSON.stringify(signal.name.slice(0, 200))}; expected 1 to 128 letters, digits or _ . : / - that begin with a letter or digit.`,
      { field: "name" },
    );
  }
  const body = checkJson("body", signal.body, LIMITS.signalBytes);
  if (!body.ok) return body;
  const { id, ...rest } = signal;
  // Prefixed, so that nobody's own id can meet one that the house gives.
  const known = id === undefined ? {} : { id: `signal/${id}` };
  return postToRun(parts, { ...rest, ...known, kind: "signal" });
}
