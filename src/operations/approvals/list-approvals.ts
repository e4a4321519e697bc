import type { Approval, ApprovalStatus } from "../../domain/approval.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import { pageLimit } from "../page-limit.ts";
import type { Parts } from "../parts.ts";

export interface ApprovalPage {
  readonly approvals: readonly Approval[];
  readonly nextAfter: string | null;
}

export function listApprovals(
  parts: Pick<Parts, "reader">,
  query: {
    readonly status?: ApprovalStatus;
    readonly run?: string;
    readonly after?: string;
    readonly limit?: number;
  },
): Promise<Result<ApprovalPage>> {
  return asResult(async () => {
    const { after, limit: asked, ...filter } = query;
    const limit = pageLimit(asked);
    const approvals = await parts.reader.approvals({ ...filter, after: after ?? null, limit });
    if (after !== undefined && approvals.length === 0 && !(await parts.reader.approval(after))) {
      return fail("invalid_request", `after is ${JSON.stringify(after)}; expected the id of an approval.`, {
        field: "after",
      });
    }
    return ok({ approvals, nextAfter: approvals.length < limit ? null : (approvals.at(-1)?.id ?? null) });
  });
}
