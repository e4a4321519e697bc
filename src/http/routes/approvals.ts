import { answerApproval } from "../../operations/approvals/answer-approval.ts";
import { listApprovals } from "../../operations/approvals/list-approvals.ts";
import {
  AnswerSchema,
  ApprovalListQuery,
  ApprovalPageSchema,
  ApprovalParams,
  ApprovalSchema,
} from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import { doerOf } from "../identity.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentApproval } from "../present.ts";
import { failures } from "./responses.ts";

const tags = ["approvals"];

export function approvalRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/approvals",
    {
      schema: {
        tags,
        operationId: "listApprovals",
        summary: "Questions to people",
        querystring: ApprovalListQuery,
        response: { 200: ApprovalPageSchema, ...failures(400, 503) },
      },
    },
    async (request) => {
      const { status, run, after, limit } = request.query;
      const page = valueOrThrow(
        await listApprovals(parts, {
          ...(status === undefined ? {} : { status }),
          ...(run === undefined ? {} : { run }),
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        }),
      );
      return { approvals: page.approvals.map(presentApproval), next_after: page.nextAfter };
    },
  );

  app.post(
    "/approvals/:id/answer",
    {
      schema: {
        tags,
        operationId: "answerApproval",
        summary: "Answer an approval, once",
        description: "The same answer again is answered as the first was; another one is refused.",
        params: ApprovalParams,
        body: AnswerSchema,
        response: { 200: ApprovalSchema, ...failures(400, 404, 409, 415, 503) },
      },
    },
    async (request) => {
      const { answer, comment } = request.body;
      const said = comment === undefined ? {} : { comment };
      const approval = await answerApproval(parts, {
        approval: request.params.id,
        answer,
        ...said,
        by: doerOf(request),
      });
      return presentApproval(valueOrThrow(approval));
    },
  );
}
