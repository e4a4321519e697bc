import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import { count, json, jsonObject, moment, paging, runId } from "./shared.ts";

export const ArtifactSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.string(),
    media_type: z.string(),
    bytes: count(),
    sha256: z.string(),
    step: z.string(),
    saved_at: moment(),
    metadata: jsonObject().optional(),
  })
  .meta({ id: "Artifact" });
export type Artifact = z.infer<typeof ArtifactSchema>;

const approvalFields = {
  id: z.string(),
  run: z.string(),
  step: z.string(),
  title: z.string(),
  details: json(),
  risk: z.enum(["low", "medium", "high"]),
  status: z.enum(["pending", "approved", "denied", "expired", "withdrawn"]),
  expires_at: moment().nullable(),
  requested_at: moment(),
  answered_at: moment().nullable(),
  answered_by: z.string().nullable(),
  comment: z.string().nullable(),
};
export const ApprovalSchema = z.object(approvalFields).meta({ id: "Approval" });
export type Approval = z.infer<typeof ApprovalSchema>;

export const ArtifactListSchema = z
  .object({ artifacts: z.array(ArtifactSchema) })
  .meta({ id: "ArtifactList" });
export const ArtifactParams = z.object({ id: runId(), artifact_id: z.string().min(1).max(300) });

export const ApprovalPageSchema = z
  .object({ approvals: z.array(ApprovalSchema), next_after: z.string().nullable() })
  .meta({ id: "ApprovalPage" });
export type ApprovalPage = z.infer<typeof ApprovalPageSchema>;
export const ApprovalListQuery = z.strictObject({
  status: approvalFields.status.optional(),
  run: runId().optional(),
  ...paging,
  after: z.string().min(1).max(100).optional(),
});
export const ApprovalParams = z.object({ id: z.string().min(1).max(100) });
export const AnswerSchema = z
  .strictObject({
    answer: z.enum(["approved", "denied"]),
    comment: z.string().max(LIMITS.textChars).optional(),
  })
  .meta({ id: "Answer" });
