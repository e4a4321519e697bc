import { listBudgets } from "../../operations/spend/list-budgets.ts";
import { readSpend } from "../../operations/spend/read-spend.ts";
import { BudgetListSchema, SpendQuerySchema, SpendSchema } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentBudgets, presentSpend } from "../present-spend.ts";
import { failures } from "./responses.ts";

const tags = ["spend"];

export function spendRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/v1/budgets",
    {
      schema: {
        tags,
        operationId: "listBudgets",
        summary: "The budgets that hold, with what is spent, held and left of each",
        response: { 200: BudgetListSchema, ...failures(503) },
      },
    },
    async () => presentBudgets(valueOrThrow(await listBudgets(parts))),
  );

  app.get(
    "/v1/spend",
    {
      schema: {
        tags,
        operationId: "readSpend",
        summary: "What calls to models have cost, by model and stage",
        querystring: SpendQuerySchema,
        response: { 200: SpendSchema, ...failures(400, 404, 503) },
      },
    },
    async (request) => {
      const { scope, since, until } = request.query;
      const report = await readSpend(parts, {
        scope,
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
      });
      return presentSpend(valueOrThrow(report));
    },
  );
}
