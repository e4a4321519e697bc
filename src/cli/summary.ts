import { formatDuration } from "../base/duration.ts";
import { isJsonObject, type Json } from "../base/json.ts";
import { formatUsd, MICROS_PER_USD } from "../domain/money.ts";
import type { RunDetail } from "../http/api.ts";
import type { Evidence } from "./evidence.ts";
import { remedyOf, type Terminal, table } from "./terminal.ts";
import { bytesText, indent, oneLine, plain, plural } from "./text.ts";

const VALUE_CHARS = 300;
const STATUS_STYLE: Readonly<Record<string, Parameters<Terminal["style"]>[0] | undefined>> = {
  completed: "green",
  succeeded: "green",
  failed: "red",
  canceled: "yellow",
  waiting: "yellow",
  running: "cyan",
};

export function styled(terminal: Pick<Terminal, "style">, status: string): string {
  const style = STATUS_STYLE[status];
  return style === undefined ? status : terminal.style(style, status);
}

/** What came of a run, for people. */
export function summaryText(terminal: Terminal, detail: RunDetail, evidence: Evidence): string {
  const parts = [
    headOf(terminal, detail),
    ...failureOf(terminal, detail),
    ...slaLines(terminal, detail),
    ...evidenceLines(terminal, evidence),
  ];
  if (isJsonObject(detail.output as Json) && evidence.commit === null)
    parts.push(outputsText(detail.output as Json));
  if (detail.artifacts.length > 0) parts.push(artifactsText(terminal, detail));
  const usage = usageText(detail);
  if (usage !== "") parts.push(usage);
  const budget = budgetText(detail);
  if (budget !== "") parts.push(budget);
  return parts.filter((part) => part !== "").join("\n\n");
}

export function headOf(terminal: Pick<Terminal, "style">, detail: RunDetail): string {
  const paused = detail.paused ? terminal.style("yellow", " (paused)") : "";
  const elapsed = formatDuration(detail.progress.elapsed_ms);
  const title = detail.title === detail.workflow ? "" : `\n${oneLine(detail.title, VALUE_CHARS)}`;
  return `${terminal.style("bold", detail.id)}  ${detail.workflow}  ${styled(terminal, detail.status)}${paused}  ${elapsed}${title}`;
}

export function failureOf(terminal: Pick<Terminal, "style">, detail: RunDetail): readonly string[] {
  if (detail.failure === null) return [];
  const { code, message } = detail.failure;
  const remedy = remedyOf(code);
  if (detail.status === "canceled") return [`${terminal.style("yellow", "canceled")}: ${plain(message)}`];
  return [
    `${terminal.style("red", "failed")}: ${plain(message)}\n${terminal.style("dim", `${code}${remedy === "" ? "" : `: ${remedy}`}`)}`,
  ];
}

const STATE_STYLE = { ok: "green", at_risk: "yellow", breached: "red" } as const;

/** Nothing where nothing was promised. */
export function slaLines(
  terminal: Pick<Terminal, "style">,
  { sla, created_at }: RunDetail,
): readonly string[] {
  const since = (moment: string) => formatDuration(Date.parse(moment) - Date.parse(created_at));
  const promises = [
    ...(sla.start_by === null ? [] : [`begins within ${since(sla.start_by)}`]),
    ...(sla.deadline_at === null ? [] : [`ends within ${since(sla.deadline_at)}`]),
    ...(sla.target_ms === null ? [] : [`should take ${formatDuration(sla.target_ms)}`]),
  ];
  const wait = sla.estimated_wait_ms === null ? [] : [`waits about ${formatDuration(sla.estimated_wait_ms)}`];
  const note = sla.note === null ? [] : [sla.note];
  if (promises.length + note.length === 0) return [];
  const state = terminal.style(STATE_STYLE[sla.state], sla.state.replace("_", " "));
  const breaches = sla.breaches.map(({ what, by_ms }) => `${what} missed by ${formatDuration(by_ms)}`);
  const said = [...promises, ...breaches, ...wait, ...note].join("; ");
  return [`promise ${sla.class ?? ""}  ${state}  ${said}`];
}

export function evidenceLines(terminal: Pick<Terminal, "style">, evidence: Evidence): readonly string[] {
  const { commit, diff, gates } = evidence;
  const parts: string[] = [];
  if (commit !== null) {
    const subject = oneLine(commit.message, VALUE_CHARS);
    parts.push(
      `branch  ${terminal.style("bold", plain(commit.branch))}\ncommit  ${commit.commit.slice(0, 12)}  ${subject}`,
    );
  }
  if (diff.length > 0) parts.push(`changed\n${indent(diffText(terminal, diff))}`);
  if (gates.length > 0) parts.push(`gates\n${indent(gatesText(terminal, gates))}`);
  return parts;
}

function diffText(terminal: Pick<Terminal, "style">, diff: Evidence["diff"]): string {
  const rows = table(diff.map(({ path, added, removed }) => [plain(path), `+${added}`, `-${removed}`])).split(
    "\n",
  );
  const added = diff.reduce((sum, file) => sum + file.added, 0);
  const removed = diff.reduce((sum, file) => sum + file.removed, 0);
  const total = `${plural(diff.length, "file")}, ${terminal.style("green", `+${added}`)} ${terminal.style("red", `-${removed}`)}`;
  return [...rows, total].join("\n");
}

function gatesText(terminal: Pick<Terminal, "style">, gates: Evidence["gates"]): string {
  return gates
    .map((gate) => {
      const mark = gate.passed ? terminal.style("green", "✓") : terminal.style("red", "✗");
      const note = gate.required ? "" : " (not required)";
      return `${mark} ${plain(gate.name)}${note}  ${terminal.style("dim", formatDuration(gate.ms))}`;
    })
    .join("\n");
}

export function artifactsText(terminal: Pick<Terminal, "style">, detail: RunDetail): string {
  const rows = detail.artifacts.map((one) => [
    plain(one.name),
    bytesText(one.bytes),
    terminal.style("dim", one.id),
  ]);
  return `artifacts\n${indent(table(rows))}`;
}

function outputsText(output: Json): string {
  if (!isJsonObject(output)) return "";
  const rows = Object.entries(output).map(([name, value]) => [
    name,
    oneLine(typeof value === "string" ? value : JSON.stringify(value), VALUE_CHARS),
  ]);
  return rows.length === 0 ? "" : `outputs\n${indent(table(rows))}`;
}

export function budgetText({ budget }: Pick<RunDetail, "budget">): string {
  const { limit_usd: limit, left_usd: left, spent_usd: spent, held_usd: held } = budget;
  if (limit === null || left === null) return "";
  const underWay = held > 0 ? `, ${dollars(held)} held` : "";
  return `budget  ${dollars(spent)} of ${dollars(limit)} spent${underWay}, ${dollars(left)} left`;
}

function dollars(usd: number): string {
  return formatUsd(Math.round(usd * MICROS_PER_USD));
}

export function usageText(detail: RunDetail): string {
  const { calls, tokens, cost_usd, unpriced_calls } = detail.usage;
  const input = tokens.input + tokens.cache_read + tokens.cache_write;
  if (calls === 0 || input + tokens.output === 0) return "";
  const priced = unpriced_calls < calls ? `, $${cost_usd.toFixed(4)}` : "";
  const unpriced = unpriced_calls > 0 ? ` (${plural(unpriced_calls, "call")} without a known price)` : "";
  return `model   ${plural(calls, "call")}, ${input} tokens in, ${tokens.output} out${priced}${unpriced}`;
}
