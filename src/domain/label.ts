import { LIMITS } from "./limits.ts";

const LABEL = /^[a-z0-9][\w.:@+-]*(=[\w.:@+/-]+)?$/i;

/** Whether a text can be a label of a worker: `gpu`, `os=linux`, `zone=eu/1`. */
export function isLabel(text: string): boolean {
  return text.length <= LIMITS.labelChars && LABEL.test(text);
}
