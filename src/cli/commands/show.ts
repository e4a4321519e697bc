import { formatDuration } from "../../base/duration.ts";
import type { RunDetail, Step } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { evidenceOf } from "../evidence.ts";
import { EXIT } from "../exit.ts";
import { commandLine } from "../here.ts";
import { styled, summaryText } from "../summary.ts";
import { type Terminal, table } from "../terminal.ts";
import { indent, localTime, oneLine, plain } from "../text.ts";
import { withConnection } from "../with-connection.ts";

const REASON_WIDTH = 80;

export function addShow({ program, act }: Cli): void {
  program
    .command("show <run>")
    .description("a run: its steps, what it waits for, what it left, what it cost")
    .action(act(show));
}

function show({ common, terminal }: Call<object>, run: string): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const detail = await client.get<RunDetail>(`/runs/${encodeURIComponent(run)}`);
    const evidence = terminal.json ? null : await evidenceOf(client, detail);
    terminal.result(detail, () =>
      [
        ...(evidence === null ? [] : [summaryText(terminal, detail, evidence)]),
        stepsText(terminal, detail),
        evidence?.diff.length === 0 ? filesText(detail) : "",
        waitsText(detail, commandLine(common)),
        childrenText(terminal, detail),
      ]
        .filter((part) => part !== "")
        .join("\n\n"),
    );
    return EXIT.ok;
  });
}

function stepsText(terminal: Terminal, detail: RunDetail): string {
  const rows = detail.steps.map((step) => [
    step.id,
    step.status,
    step.attempts > 1 ? String(step.attempts) : "",
    step.elapsed_ms === null ? "" : formatDuration(step.elapsed_ms),
    remark(step),
  ]);
  const lines = table([["STEP", "STATUS", "ATTEMPTS", "TOOK", ""], ...rows]).split("\n");
  const { phase, percent, eta_ms: eta } = detail.progress;
  const left = eta === null ? "" : `, about ${formatDuration(eta)} left`;
  const head = detail.ended_at === null ? `progress  ${percent} %, ${phase}${left}` : "";
  const shown = lines.map((line, at) => {
    const step = detail.steps[at - 1];
    if (step === undefined) return terminal.style("dim", line);
    return line.replace(` ${step.status}`, ` ${styled(terminal, step.status)}`);
  });
  return [...(head === "" ? [] : [head]), ...shown].join("\n");
}

function remark(step: Step): string {
  const parts = [
    step.instances === null ? "" : `${step.instances.ended} of ${step.instances.total} items`,
    step.retry_at === null ? "" : `again at ${localTime(step.retry_at)}`,
    step.failure === null ? "" : `${step.failure.code}: ${step.failure.message}`,
    step.reason ?? "",
  ];
  return oneLine(parts.filter((part) => part !== "").join("; "), REASON_WIDTH);
}

function waitsText(detail: RunDetail, command: string): string {
  const lines: string[] = [];
  for (const approval of detail.approvals.filter(({ status }) => status === "pending")) {
    lines.push(`${approval.step} asks: ${plain(approval.title)} (risk: ${approval.risk})`);
    lines.push(`  ${command} answer ${approval.id} approve (or deny)`);
  }
  for (const wait of detail.waiting) {
    const until = wait.until === null ? "" : `, until ${localTime(wait.until)}`;
    if (wait.on === "signal") lines.push(`${wait.step} waits for the signal ${plain(wait.name)}${until}`);
    if (wait.on === "signal") lines.push(`  ${command} signal ${detail.id} ${plain(wait.name)}`);
    if (wait.on === "timer") lines.push(`${wait.step} waits${until}`);
    if (wait.on === "child") lines.push(`${wait.step} waits for the run ${wait.name}${until}`);
  }
  if (detail.paused) lines.push(`paused\n  ${command} resume ${detail.id}`);
  return lines.length === 0 ? "" : `waiting\n${indent(lines.join("\n"))}`;
}

/** While there is no diff yet. */
function filesText({ progress }: RunDetail): string {
  const files = progress.changed_files;
  return files.length === 0 ? "" : `changed so far\n${indent(plain(files.join("\n")))}`;
}

function childrenText(terminal: Terminal, detail: RunDetail): string {
  if (detail.children.length === 0) return "";
  const rows = detail.children.map(
    (child) => `${child.run}  ${child.workflow}  ${styled(terminal, child.status ?? "started")}`,
  );
  return `runs started\n${indent(rows.join("\n"))}`;
}
