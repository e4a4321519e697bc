import { LIMITS } from "../../domain/limits.ts";
import { RUN_STATUSES } from "../../domain/run.ts";
import type { RunListItem, RunPage } from "../../http/api.ts";
import { type Call, type Cli, collect, wholeNumber } from "../command.ts";
import { EXIT } from "../exit.ts";
import { commandLine } from "../here.ts";
import { styled } from "../summary.ts";
import { type Terminal, table } from "../terminal.ts";
import { localTime, oneLine, span } from "../text.ts";
import { withConnection } from "../with-connection.ts";

interface Options {
  readonly status?: readonly string[];
  readonly workflow?: string;
  readonly limit: number;
  readonly after?: string;
}

const SHOWN = 20;
const TITLE_WIDTH = 60;

export function addRuns({ program, act }: Cli): void {
  program
    .command("runs")
    .description("list runs, newest first")
    .option("--status <status>", `one of ${RUN_STATUSES.join(", ")}; may be repeated`, collect)
    .option("--workflow <name>", "only of this workflow")
    .option("--limit <n>", "how many", wholeNumber(1, LIMITS.pageSize), SHOWN)
    .option("--after <run>", "the next page: those older than this run")
    .action(act(runs));
}

function runs({ options, common, terminal }: Call<Options>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const query = new URLSearchParams({ limit: String(options.limit) });
    for (const status of options.status ?? []) query.append("status", status);
    if (options.workflow !== undefined) query.set("workflow", options.workflow);
    if (common.tenant !== undefined) query.set("tenant", common.tenant);
    if (options.after !== undefined) query.set("after", options.after);
    const page = await client.get<RunPage>(`/runs?${query}`);
    terminal.result(page, () => (page.runs.length === 0 ? "no runs" : listText(terminal, page.runs)));
    if (page.next_after !== null) {
      terminal.say(`More with: ${commandLine(common)} runs --after ${page.next_after}`);
    }
    return EXIT.ok;
  });
}

function listText(terminal: Terminal, runs: readonly RunListItem[]): string {
  const rows = runs.map((run) => [
    run.id,
    stateOf(run),
    run.workflow,
    localTime(run.created_at),
    span(run.started_at, run.ended_at),
    oneLine(run.title === run.workflow ? "" : run.title, TITLE_WIDTH),
  ]);
  const lines = table([["RUN", "STATUS", "WORKFLOW", "CREATED", "TOOK", "TITLE"], ...rows]).split("\n");
  return lines
    .map((line, at) => {
      const run = runs[at - 1];
      if (run === undefined) return terminal.style("dim", line);
      return line.replace(` ${run.status}`, ` ${styled(terminal, run.status)}`);
    })
    .join("\n");
}

/** The status, and beside it what the run waits for. */
function stateOf(run: RunListItem): string {
  if (run.paused) return `${run.status}, paused`;
  const [first, ...more] = run.waiting_for;
  if (first === undefined) return run.status;
  const kind = first.split(":")[0] ?? first;
  return `${run.status}, waits for ${kind === "run" ? "a run" : kind}${more.length > 0 ? ` +${more.length}` : ""}`;
}
