import type { Approval, ApprovalAnswer } from "../../domain/approval.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

export interface AnswerApproval {
  readonly approval: string;
  readonly answer: ApprovalAnswer;
  readonly comment?: string;
  readonly by: string;
}

/** A person's answer, once. The same answer again is answered as the first was; another one is refused. */
export function answerApproval(
  parts: Pick<Parts, "store" | "reader" | "clock">,
  request: AnswerApproval,
): Promise<Result<Approval>> {
  return asResult(async () => {
    const { approval: id, answer, by, comment = "" } = request;
    if (comment.length > LIMITS.textChars) {
      return fail(
        "invalid_request",
        `comment has ${comment.length} characters; at most ${LIMITS.textChars} are taken.`,
        { field: "comment", limit: LIMITS.textChars },
      );
    }
    const outcome = await parts.store.answerApproval({
      approval: id,
      answer,
      by,
      comment,
      at: parts.clock.now(),
    });
    const approval = outcome === "not_found" ? null : await parts.reader.approval(id);
    if (!approval) return fail("not_found", `There is no approval ${JSON.stringify(id)}.`, { approval: id });
    if (outcome === "expired") return expired(approval);
    return outcome === "accepted" || approval.status === answer ? ok(approval) : tooLate(approval);
  });
}

function tooLate(approval: Approval): Result<Approval> {
  const { id, status, answeredBy, answeredAt } = approval;
  const details = { approval: id, status, answered_by: answeredBy, answered_at: answeredAt };
  if (status === "expired") return expired(approval);
  if (status === "withdrawn") {
    return fail("conflict", `Approval ${id} is no longer asked: it has been withdrawn.`, details);
  }
  return fail(
    "already_answered",
    `Approval ${id} was ${status} by ${answeredBy ?? "somebody"} before.`,
    details,
  );
}

/** Also when the run has not noticed yet: silence has its meaning from that moment on. */
function expired({ id, expiresAt }: Approval): Result<never> {
  const at = expiresAt === null ? null : new Date(expiresAt).toISOString();
  const when = at === null ? "" : ` at ${at}`;
  return fail("answer_too_late", `Approval ${id} expired${when}; it is no longer asked.`, {
    approval: id,
    expires_at: at,
  });
}
