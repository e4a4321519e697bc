import { formatDuration } from "../../base/duration.ts";
import type { ChangedFile } from "../../contracts/workspace.ts";
import type { RunArtifact } from "../../domain/run-artifact.ts";

const MAX_ROWS = 200;
const MICROS_PER_USD = 1_000_000;

/** The run as a person wants to read it. */
export function reportText(
  run: RunArtifact,
  about: {
    readonly title: string;
    readonly files: readonly ChangedFile[];
    readonly endings: readonly AgentEnding[];
  },
): string {
  return [
    `# ${about.title}`,
    `Run \`${run.run.id}\` of workflow \`${run.workflow.name}\` ${run.workflow.version}.`,
    ...agentSection(about.endings),
    ...fileSection(about.files),
    ...gateSection(run, about.files.length > 0),
    ...commitSection(run),
    ...section("Steps", run.steps.map(stepLine)),
    costSection(run),
    ...section(
      "Refused or forbidden",
      run.security.violations.map((one) => `- ${one.step}: ${one.kind}: ${one.message}`),
    ),
    "",
  ].join("\n\n");
}

/** What an agent said at its end. */
export interface AgentEnding {
  readonly step: string;
  readonly outcome: string;
  readonly summary: string;
  readonly answer: string;
}

function agentSection(endings: readonly AgentEnding[]): string[] {
  return endings.map((ending) => {
    const answer = ending.answer === "" ? "" : `\n\n${ending.answer}`;
    return `## What \`${ending.step}\` says (${ending.outcome})\n\n${ending.summary}${answer}`;
  });
}

function nameOf({ path, from }: ChangedFile): string {
  return from === undefined ? path : `${from} → ${path}`;
}

function fileSection(files: readonly ChangedFile[]): string[] {
  if (files.length === 0) return ["## Changes\n\nNo file was changed."];
  const rows = files
    .slice(0, MAX_ROWS)
    .map((file) => `| ${cell(nameOf(file))} | ${file.status} | +${file.insertions} | -${file.deletions} |`);
  const more = files.length > MAX_ROWS ? `\n\nand ${files.length - MAX_ROWS} more` : "";
  return [`## Changes\n\n| file | | | |\n|---|---|--:|--:|\n${rows.join("\n")}${more}`];
}

function gateSection(run: RunArtifact, isChanged: boolean): string[] {
  if (run.gates.length === 0) {
    const doubt = isChanged ? ": nothing but the agent's word confirms the change" : "";
    return [`## Gates\n\nNo gate was run${doubt}.`];
  }
  const rows = run.gates.map((gate) => {
    const verdict = gate.passed ? "passed" : gate.required ? "**failed**" : "failed (not required)";
    return `| ${cell(gate.step)} | ${cell(gate.name)} | ${verdict} | ${formatDuration(gate.ms)} |`;
  });
  return [`## Gates\n\n| step | gate | result | time |\n|---|---|---|--:|\n${rows.join("\n")}`];
}

function commitSection(run: RunArtifact): string[] {
  if (run.commit === null) return [];
  const { commit, branch, message } = run.commit;
  const quoted = message.split("\n").map((line) => `> ${line}`);
  return [`## Commit\n\n\`${commit}\` on \`${branch}\`\n\n${quoted.join("\n")}`];
}

function stepLine(step: RunArtifact["steps"][number]): string {
  const took =
    step.started_at === null || step.ended_at === null
      ? ""
      : `, ${formatDuration(step.ended_at - step.started_at)}`;
  const attempts = step.attempts > 1 ? `, ${step.attempts} attempts` : "";
  const why = step.failure === null ? "" : `: ${step.failure.code}: ${step.failure.message}`;
  return `- \`${step.id}\` ${step.status}${took}${attempts}${why}`;
}

function costSection(run: RunArtifact): string {
  const { usage, cost_micros: cost, calls_without_price: unknown } = run.totals;
  const price =
    cost === null ? `unknown (${unknown} calls without a price)` : `$${(cost / MICROS_PER_USD).toFixed(4)}`;
  const input = usage.input + usage.cache_read + usage.cache_write;
  const output = usage.output + usage.reasoning;
  return `## Models\n\n${run.model_calls.length} calls, ${input} tokens in (${usage.cache_read} from cache), ${output} out, cost ${price}.`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`## ${title}\n\n${lines.join("\n")}`];
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
