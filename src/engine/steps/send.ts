import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { defineAction } from "./define-action.ts";
import { jsonSchema } from "./shapes.ts";

const input = z.strictObject({
  to: z.string().min(1).describe("Id of the run."),
  name: z.string().min(1).describe("Name of the signal that it waits for."),
  body: jsonSchema.default(null),
});

/** A message to another run. */
export function sendAction(): Action {
  return defineAction({
    name: "send",
    description: "Sends a message to another run.",
    input,
    output: z.object({}),
    async perform(given, context) {
      await context.send("send", { to: given.to, name: given.name, body: given.body });
      return {};
    },
  });
}
