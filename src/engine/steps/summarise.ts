import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import type { Mediated } from "../../contracts/mediator.ts";
import { digestText } from "../../domain/digest-text.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, throwIfAborted } from "./effects.ts";
import type { StepParts } from "./parts.ts";

const DEFAULT_WORDS = 300;
const MAX_WORDS = 5_000;
const CHARS_PER_WORD = 7;

const input = z.strictObject({
  text: z.string(),
  max_words: z.number().int().min(10).max(MAX_WORDS).default(DEFAULT_WORDS),
});
const output = z.object({
  text: z.string(),
  by: z.enum(["model", "rules"]).describe("Who wrote it."),
  model: z.string().nullable().describe("The `provider/model` that was asked."),
  reason: z.string().nullable().describe("Why rules wrote it."),
});

/** A shorter text; never fails for want of a model. */
export function summariseAction(parts: StepParts): Action {
  return defineAction({
    name: "summarise",
    description: "Shortens a text to what its reader must know; by rules when no model can.",
    input,
    output,
    async perform({ text, max_words: maxWords }, context) {
      const { mediator } = parts;
      const done = await onceOf<Mediated<string>>(context, "summary", {
        effect: "pure",
        request: { text, maxWords },
        label: "summarise",
        perform: async (call) => {
          if (mediator === undefined) {
            const reason = "no mediator model is configured";
            return { value: digestText(text, maxWords * CHARS_PER_WORD), by: "rules", reason };
          }
          const signal = AbortSignal.any([context.signal, call.signal]);
          const said = await mediator.summarise(text, { maxWords, signal, payer: context.run.payer });
          throwIfAborted(signal);
          return said;
        },
      });
      return { text: done.value, by: done.by, model: done.model ?? null, reason: done.reason ?? null };
    },
  });
}
