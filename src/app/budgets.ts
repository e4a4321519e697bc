import { readFile } from "node:fs/promises";
import { parseBudgetsFile } from "../adapters/definitions/budgets-file.ts";
import { type BudgetSettings, NO_BUDGETS } from "../domain/budget.ts";
import { fail, ok, type Result } from "../domain/errors.ts";

/** The budgets as they hold now; read anew from their file without a restart. */
export interface BudgetBook {
  readonly current: BudgetSettings;
  /** Reads the file again. When it is wrong, what held goes on to hold, and the failure says what is wrong. */
  applyBudgets(): Promise<Result<BudgetSettings>>;
}

/** Without a file nothing is limited but runs that bring a budget of their own. */
export function budgetBook(path: string | null): BudgetBook {
  let current = NO_BUDGETS;
  return {
    get current() {
      return current;
    },
    async applyBudgets() {
      if (path === null) return ok(current);
      const read = await readBudgets(path);
      if (read.ok) current = read.value;
      return read;
    },
  };
}

async function readBudgets(path: string): Promise<Result<BudgetSettings>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail("invalid_config", `AGENT_RUNNER_BUDGETS: the budgets file ${path} cannot be read: ${why}`, {
      setting: "AGENT_RUNNER_BUDGETS",
    });
  }
  const parsed = parseBudgetsFile(text, path);
  return parsed.ok ? ok(parsed.value) : { ok: false, failure: parsed.failure };
}
