import { type Failure, failure } from "../../../domain/errors.ts";

/** One entry of a batch cannot be written: its neighbours can. */
export class EntryRefused extends Error {
  override readonly name = "EntryRefused";
  readonly failure: Failure;

  constructor(value: Failure) {
    super(value.message);
    this.failure = value;
  }
}

/** JSON text of a value; what is no JSON (a cycle, a BigInt, nothing at all) is its entry's own fault. */
export function encode(value: unknown): string {
  let text: string | undefined;
  let why = "it is not JSON";
  try {
    text = JSON.stringify(value);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  if (text === undefined)
    throw new EntryRefused(failure("invalid_request", `a value cannot be stored: ${why}`));
  return text;
}
