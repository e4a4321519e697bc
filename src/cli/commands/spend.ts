import { formatUsd, MICROS_PER_USD } from "../../domain/money.ts";
import type { BudgetList, Spend } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { type Terminal, table } from "../terminal.ts";
import { localTime, plain, plural } from "../text.ts";
import { withConnection } from "../with-connection.ts";

interface Options {
  readonly scope?: string;
  readonly since?: string;
}

const HELP = `
Scopes are global, tenant:NAME, user:TENANT/NAME, run:ID and task:ID (a run with all that it started).

  agent-runner spend
  agent-runner spend --scope tenant:acme --since 24h
  agent-runner spend --scope run:run_01h…`;

export function addSpend({ program, act }: Cli): void {
  program
    .command("spend")
    .description("what calls to models have cost, by model and stage, and what is left of the budgets")
    .option("--scope <scope>", "whose spending (default: global)")
    .option("--since <when>", "a duration back from now (24h) or a moment; default: all that is kept")
    .addHelpText("after", HELP)
    .action(act(spend));
}

function spend({ common, terminal, options }: Call<Options>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const query = new URLSearchParams();
    if (options.scope !== undefined) query.set("scope", options.scope);
    if (options.since !== undefined) query.set("since", options.since);
    const report = await client.get<Spend>(`/v1/spend?${query.toString()}`);
    const list = await client.get<BudgetList>("/v1/budgets");
    terminal.result({ spend: report, budgets: list }, () =>
      [spendText(report), budgetsText(terminal, list)].filter((part) => part !== "").join("\n\n"),
    );
    return EXIT.ok;
  });
}

function dollars(usd: number): string {
  return formatUsd(Math.round(usd * MICROS_PER_USD));
}

function spendText({ scope, total, by_model: byModel }: Spend): string {
  if (total.calls === 0) return `${plain(scope)}: no call to a model was made`;
  const rows = byModel.map((one) => [
    plain(one.model),
    plain(one.stage),
    String(one.calls),
    String(one.input_tokens),
    String(one.output_tokens),
    dollars(one.spent_usd),
    [
      one.held_usd > 0 ? `${dollars(one.held_usd)} held` : "",
      one.estimated_usd > 0 ? `${dollars(one.estimated_usd)} estimated` : "",
      one.unpriced_calls > 0 ? `${plural(one.unpriced_calls, "call")} without a known price` : "",
    ]
      .filter((text) => text !== "")
      .join(", "),
  ]);
  const lines = table([["MODEL", "STAGE", "CALLS", "TOKENS IN", "OUT", "SPENT", ""], ...rows]);
  return `${lines}\n${plain(scope)}: ${dollars(total.spent_usd)} in ${plural(total.calls, "call")}`;
}

function budgetsText(terminal: Terminal, { budgets, truncated }: BudgetList): string {
  if (budgets.length === 0) return "no budget is configured; docs/BUDGETS.md says how";
  const style = { ok: "green", warned: "yellow", exhausted: "red" } as const;
  const rows = budgets.map((one) => [
    one.name === null
      ? one.scope === "global"
        ? "global"
        : `each ${one.scope}`
      : `${one.scope} ${plain(one.name)}`,
    [one.window, one.models ?? ""].filter((text) => text !== "").join(" "),
    one.limit_usd === null ? `warn ${dollars(one.warn_usd ?? 0)}` : dollars(one.limit_usd),
    one.scope !== "global" && one.name === null ? "" : dollars(one.spent_usd),
    one.held_usd > 0 ? dollars(one.held_usd) : "",
    one.left_usd === null || (one.scope !== "global" && one.name === null) ? "" : dollars(one.left_usd),
    one.resets_at === null ? "" : localTime(one.resets_at),
    one.state,
  ]);
  const head = ["BUDGET", "WINDOW", "LIMIT", "SPENT", "HELD", "LEFT", "RESETS", "STATE"];
  const lines = table([head, ...rows]).split("\n");
  const shown = lines.map((line, at) => {
    const state = budgets[at - 1]?.state;
    return state === undefined
      ? line
      : line.replace(new RegExp(`${state}$`), terminal.style(style[state], state));
  });
  return [...shown, ...(truncated ? ["more have spent than are listed"] : [])].join("\n");
}
