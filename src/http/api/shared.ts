import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";

export const json = () => z.unknown();
export const jsonObject = () => z.record(z.string(), z.unknown());
export const moment = () => z.string().meta({ format: "date-time" });
export const count = () => z.int().min(0);
export const runId = () => z.string().min(1).max(100);

export const FailureSchema = z
  .object({ code: z.string(), message: z.string(), retryable: z.boolean(), details: json().optional() })
  .meta({ id: "Failure", description: "How a step or a run failed." });

export const ErrorSchema = z
  .object({
    error: z.object({
      code: z
        .string()
        .meta({ description: "From the catalogue in docs/reference/errors.md; never renamed." }),
      message: z.string(),
      remedy: z.string(),
      details: json().optional(),
      request_id: z.string(),
    }),
  })
  .meta({ id: "Error", description: "The one shape of every answer that is not a success." });
export type ErrorBody = z.infer<typeof ErrorSchema>;

export const paging = {
  limit: z.coerce.number().int().min(1).max(LIMITS.pageSize).optional(),
};
