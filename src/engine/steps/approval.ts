import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { defineAction } from "./define-action.ts";
import { durationSchema, jsonSchema } from "./shapes.ts";

const input = z.strictObject({
  title: z.string().min(1),
  details: jsonSchema.default(null).describe("What exactly would happen; shown in full to whoever answers."),
  risk: z.enum(["low", "medium", "high"]).default("medium"),
  timeout: durationSchema.optional().describe("Absent waits for ever."),
  on_denied: z.enum(["fail", "continue"]).default("fail"),
});

const output = z.object({
  answer: z.enum(["approved", "denied", "expired"]),
  by: z.string(),
  comment: z.string(),
});

/** Asks a person. What was not approved fails the step, unless the workflow says to go on. */
export function approvalAction(): Action {
  return defineAction({
    name: "approval",
    description: "Asks a person and waits for the answer.",
    input,
    output,
    async perform(given, context) {
      const { title, risk } = given;
      const said = await context.askApproval("approval", {
        title,
        details: given.details,
        risk,
        ...(given.timeout !== undefined && { timeoutMs: given.timeout }),
      });
      if (said.answer === "approved" || given.on_denied === "continue") return said;
      if (said.answer === "expired") {
        throw new FailureError(failure("approval_expired", `nobody answered "${title}" in time`));
      }
      const why = said.comment === "" ? "" : `: ${said.comment}`;
      throw new FailureError(
        failure("approval_denied", `${said.by} denied "${title}"${why}`, {
          by: said.by,
          comment: said.comment,
        }),
      );
    },
  });
}
