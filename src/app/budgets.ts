import { readFile } from "node:fs/promises";
import { parseBudgetsFile } from "../adapters/definitions/budgets-file.ts";
import { type BudgetSettings, NO_BUDGETS } from "../domain/budget.ts";
import { FailureError, fail, ok, type Result } from "../domain/errors.ts";

/** The budgets as they hold now. */
export interface BudgetBook {
  readonly current: BudgetSettings;
  /** Reads a file and changes nothing yet: what it gives makes it hold. `invalid_config` says what is wrong, and where. */
  prepare(path: string | null): Promise<Result<() => void>>;
}

/** Without a file nothing is limited but runs that bring a budget of their own. Rejects with `invalid_config`. */
export async function openBudgets(path: string | null): Promise<BudgetBook> {
  let current = NO_BUDGETS;
  const book: BudgetBook = {
    get current() {
      return current;
    },
    async prepare(from) {
      const read = from === null ? ok(NO_BUDGETS) : await readBudgets(from);
      if (!read.ok) return read;
      return ok(() => {
        current = read.value;
      });
    },
  };
  const prepared = await book.prepare(path);
  if (!prepared.ok) throw new FailureError(prepared.failure);
  prepared.value();
  return book;
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
