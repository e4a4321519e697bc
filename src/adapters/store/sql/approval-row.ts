import type { Posting } from "../../../contracts/run-store.ts";
import type { Approval, ApprovalAnswer } from "../../../domain/approval.ts";

export interface ApprovalRow {
  readonly ord: number;
  readonly id: string;
  readonly run: string;
  readonly step: string;
  readonly title: string;
  readonly details: string;
  readonly risk: Approval["risk"];
  readonly expires_at: number | null;
  readonly status: Approval["status"];
  readonly requested_at: number;
  readonly answered_at: number | null;
  readonly answered_by: string | null;
  readonly comment: string | null;
}

export const APPROVAL_COLUMNS = `approval.ord, approval.id, run.id AS run, approval.step, approval.title,
  approval.details, approval.risk, approval.expires_at, approval.status, approval.requested_at,
  approval.answered_at, approval.answered_by, approval.comment`;

export function toApproval(row: ApprovalRow): Approval {
  return {
    id: row.id,
    title: row.title,
    details: JSON.parse(row.details),
    risk: row.risk,
    expiresAt: row.expires_at,
    run: row.run,
    step: row.step,
    status: row.status,
    requestedAt: row.requested_at,
    answeredAt: row.answered_at,
    answeredBy: row.answered_by,
    comment: row.comment,
  };
}

export interface Answer {
  readonly approval: string;
  readonly answer: ApprovalAnswer;
  readonly by: string;
  readonly comment: string;
  readonly at: number;
}

/** What the run that asked is told. */
export function answerMessage(run: string, { approval, answer, by, comment, at }: Answer): Posting {
  const named = { run, id: `approval:${approval}`, kind: "approval", name: approval } as const;
  return { ...named, body: { answer, by, comment }, from: by, at };
}
