// Draws what the simulation wrote: node bench/gateway/plot.ts <results.json> <out.svg>
import { readFileSync, writeFileSync } from "node:fs";

interface Outcome {
  readonly sloMissPercent: number;
  readonly p50: number;
  readonly p99: number;
  readonly cost: number;
}
interface Results {
  readonly scenario: string;
  readonly requests: number;
  readonly seeds: number;
  readonly policies: Readonly<Record<string, readonly Outcome[]>>;
}

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined)
  throw new Error("usage: node bench/gateway/plot.ts <results.json> <out.svg>");
const results = JSON.parse(readFileSync(from, "utf8")) as Results;

const NAMES = 240;
const PANEL = 230;
const GAP = 34;
const ROW = 30;
const TOP = 66;
const rows = Object.entries(results.policies);
const bottom = TOP + rows.length * ROW;
const width = NAMES + 3 * PANEL + 2 * GAP + 40;
const height = bottom + 50;

interface Panel {
  readonly title: string;
  readonly of: (one: Outcome) => number;
  readonly ticks: readonly number[];
  /** Logarithmic from the first tick to the last; what is below the first is drawn on it. */
  readonly unit: string;
}

const PANELS: readonly Panel[] = [
  { title: "SLO misses", of: (one) => one.sloMissPercent, ticks: [0.001, 0.01, 0.1, 1, 10], unit: "%" },
  { title: "p99 to the first token", of: (one) => one.p99, ticks: [0.5, 1, 2, 5, 10, 20, 60], unit: "s" },
  { title: "cost, of the cheapest", of: (one) => one.cost, ticks: [1, 2, 3, 4], unit: "×" },
];

function place(panel: Panel, index: number): (value: number) => number {
  const left = NAMES + index * (PANEL + GAP);
  const [least = 1] = panel.ticks;
  const most = (panel.ticks.at(-1) ?? 1) * 1.1;
  return (value) => {
    const share = Math.log(Math.max(value, least) / least) / Math.log(most / least);
    return left + Math.min(1, share) * PANEL;
  };
}

const text = (x: number, y: number, said: string, of = "") =>
  `<text x="${x.toFixed(1)}" y="${y}" ${of}>${escaped(said)}</text>`;
const escaped = (said: string) => said.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function axis(panel: Panel, index: number): string {
  const at = place(panel, index);
  const lines = panel.ticks.map((tick) => {
    const x = at(tick).toFixed(1);
    const line = `<line x1="${x}" x2="${x}" y1="${TOP - 8}" y2="${bottom}" class="grid"/>`;
    return line + text(at(tick), bottom + 16, `${tick}`, 'class="tick" text-anchor="middle"');
  });
  const middle = NAMES + index * (PANEL + GAP) + PANEL / 2;
  return (
    lines.join("") +
    text(middle, TOP - 18, `${panel.title} (${panel.unit})`, 'class="title" text-anchor="middle"')
  );
}

/** A dot for each seed, and a bar for their mean. */
function marks(panel: Panel, index: number): string {
  const at = place(panel, index);
  return rows
    .map(([name, outcomes], row) => {
      const y = TOP + row * ROW + ROW / 2;
      const kind = name.startsWith("agent-runner") ? "ours" : name.startsWith("oracle") ? "oracle" : "other";
      const values = outcomes.map(panel.of);
      const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
      const dots = values.map(
        (one) => `<circle cx="${at(one).toFixed(1)}" cy="${y}" r="3.5" class="${kind}" opacity="0.55"/>`,
      );
      const bar = `<line x1="${at(mean).toFixed(1)}" x2="${at(mean).toFixed(1)}" y1="${y - 9}" y2="${y + 9}" class="${kind} mean"/>`;
      const said = `<title>${escaped(`${name}: ${panel.title} ${mean.toPrecision(3)} ${panel.unit}`)}</title>`;
      return `<g>${said}${dots.join("")}${bar}</g>`;
    })
    .join("\n");
}

const names = rows.map(([name], row) =>
  text(NAMES - 14, TOP + row * ROW + ROW / 2 + 4, name, 'text-anchor="end"'),
);
const about = `${results.scenario}: ${results.seeds} seeds of ${results.requests.toLocaleString("en")} requests; a dot for each seed, a bar for their mean; logarithmic; left is better`;

writeFileSync(
  to,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(about)}" font-family="system-ui, sans-serif" font-size="13">
<style>
  .paper { fill: #ffffff } text { fill: #1f2328 } .tick, .about { fill: #59636e; font-size: 11px } .title { font-weight: 600 }
  .grid { stroke: #d1d9e0 } circle.ours { fill: #0969da } circle.other { fill: #9a6700 } circle.oracle { fill: #59636e }
  .mean { stroke-width: 3 } .mean.ours { stroke: #0969da } .mean.other { stroke: #9a6700 } .mean.oracle { stroke: #59636e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #f0f6fc } .tick, .about { fill: #9198a1 } .grid { stroke: #3d444d }
    circle.ours { fill: #4493f8 } circle.other { fill: #d29922 } circle.oracle { fill: #9198a1 }
    .mean.ours { stroke: #4493f8 } .mean.other { stroke: #d29922 } .mean.oracle { stroke: #9198a1 }
  }
</style>
<rect class="paper" width="${width}" height="${height}" rx="6"/>
${PANELS.map(axis).join("\n")}
${names.join("\n")}
${PANELS.map(marks).join("\n")}
${text(NAMES, height - 12, about, 'class="about"')}
</svg>
`,
);
