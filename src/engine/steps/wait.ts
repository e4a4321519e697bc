import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { defineAction } from "./define-action.ts";
import { durationSchema, jsonSchema } from "./shapes.ts";

const input = z
  .strictObject({
    signal: z.string().min(1).optional().describe("Name of the signal to wait for."),
    for: durationSchema.optional().describe("How long; with a signal, at most so long."),
  })
  .refine((given) => given.signal !== undefined || given.for !== undefined, {
    message: "name a `signal`, or say `for` how long, or both",
  });

const output = z.object({
  body: jsonSchema.describe("What the signal carried; `null` when time was up first."),
  from: z.string().nullable().describe("Who sent it; `null` when time was up first."),
});

/** Rests until a signal is there or time is up. */
export function waitAction(): Action {
  return defineAction({
    name: "wait",
    description: "Rests until a signal arrives, or for some time. The worker is free meanwhile.",
    input,
    output,
    async perform(given, context) {
      if (given.signal === undefined) {
        await context.sleep("wait", given.for ?? 0);
        return { body: null, from: null };
      }
      const limit = given.for === undefined ? {} : { timeoutMs: given.for };
      const got = await context.waitForSignal("wait", { name: given.signal, ...limit });
      return got === null ? { body: null, from: null } : { body: got.body, from: got.from };
    },
  });
}
