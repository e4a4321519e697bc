import type { Json } from "../base/json.ts";

export type ApprovalAnswer = "approved" | "denied";
export type ApprovalStatus = "pending" | ApprovalAnswer | "expired" | "withdrawn";

/** A question to a person. What was not approved is not done: silence ends in `expired`, which is not `denied`. */
export interface ApprovalRequest {
  readonly id: string;
  readonly title: string;
  /** What exactly would happen: command, diff, recipient. Shown in full to whoever answers. */
  readonly details: Json;
  readonly risk: "low" | "medium" | "high";
  /** ms since the epoch; `null` waits for ever. */
  readonly expiresAt: number | null;
}

export interface Approval extends ApprovalRequest {
  readonly run: string;
  readonly step: string;
  readonly status: ApprovalStatus;
  readonly requestedAt: number;
  readonly answeredAt: number | null;
  readonly answeredBy: string | null;
  readonly comment: string | null;
}
