import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { FailureError } from "../../domain/errors.ts";
import { defineAction } from "./define-action.ts";

const input = z.strictObject({
  message: z.string().min(1),
  code: z.string().min(1).default("step_failed"),
  retryable: z.boolean().default(false),
});

/** Fails on purpose, with the workflow's own words. */
export function failAction(): Action {
  return defineAction({
    name: "fail",
    description: "Fails with a message of the workflow's own.",
    input,
    output: z.never(),
    async perform(given) {
      throw new FailureError({ code: given.code, message: given.message, retryable: given.retryable });
    },
  });
}
