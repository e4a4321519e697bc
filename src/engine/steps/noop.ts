import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { defineAction } from "./define-action.ts";
import { jsonSchema } from "./shapes.ts";

const anything = z.record(z.string(), jsonSchema);

/** Does nothing; its output is its input. Joins branches, names values, stands in for a step in tests. */
export function noopAction(): Action {
  return defineAction({
    name: "noop",
    description: "Does nothing: its output is its input.",
    input: anything,
    output: anything,
    perform: async (given) => given,
  });
}
