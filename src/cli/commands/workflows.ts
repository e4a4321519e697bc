import { isJsonObject, type Json } from "../../base/json.ts";
import type { Workflow, WorkflowListItem } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { tellDefinitions } from "../tell-definitions.ts";
import { type Terminal, table } from "../terminal.ts";
import { indent, oneLine, plain } from "../text.ts";
import { withConnection } from "../with-connection.ts";

const TEXT_WIDTH = 90;
const HASH_CHARS = 12;

interface Options {
  readonly source?: boolean;
}

export function addWorkflows({ program, act }: Cli): void {
  program
    .command("workflows [name]")
    .description("list workflows, or show one: its inputs and its graph")
    .option("--source", "with a name: the YAML as it was saved")
    .action(act(workflows));
}

function workflows({ common, terminal, options }: Call<Options>, name: string | undefined): Promise<number> {
  return withConnection(common, async ({ client, house }) => {
    tellDefinitions(terminal, house);
    if (name === undefined) {
      const list = await client.get<{ readonly workflows: readonly WorkflowListItem[] }>("/workflows");
      terminal.result(list, () => listText(list.workflows));
      return EXIT.ok;
    }
    const workflow = await client.get<Workflow>(`/workflows/${encodeURIComponent(name)}`);
    terminal.result(workflow, () =>
      options.source ? plain(workflow.source) : workflowText(terminal, workflow),
    );
    return EXIT.ok;
  });
}

function listText(workflows: readonly WorkflowListItem[]): string {
  const rows = workflows.map((one) => [
    one.name,
    one.version,
    one.hash.slice(0, HASH_CHARS),
    one.origin,
    String(one.steps),
    oneLine(one.description, TEXT_WIDTH),
  ]);
  return table([["WORKFLOW", "VERSION", "HASH", "ORIGIN", "STEPS", ""], ...rows]);
}

function workflowText(terminal: Terminal, workflow: Workflow): string {
  const { name, version, hash, origin, description } = workflow;
  const head = `${terminal.style("bold", name)}  version ${version}  ${hash.slice(0, HASH_CHARS)}  ${origin}`;
  const steps = workflow.steps.map((step) => [
    step.id,
    step.uses,
    step.needs.length > 0 ? `after ${step.needs.join(", ")}` : "",
    oneLine(step.if === null ? "" : `if ${step.if}`, TEXT_WIDTH),
  ]);
  const outputs = Object.entries(workflow.outputs).map(([key, value]) => [key, oneLine(value, TEXT_WIDTH)]);
  const parts = [
    `${head}\n${plain(description)}`,
    section("inputs", inputRows(workflow)),
    section("steps", steps),
  ];
  return [...parts, section("outputs", outputs)].filter((part) => part !== "").join("\n\n");
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : `${title}\n${indent(table(rows))}`;
}

function inputRows({ inputs }: Workflow): readonly (readonly string[])[] {
  const schema = inputs as Readonly<Record<string, Json>>;
  const required = Array.isArray(schema.required) ? schema.required : [];
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  return Object.entries(properties).map(([key, property]) => {
    const one = isJsonObject(property) ? property : {};
    const type = typeof one.type === "string" ? one.type : "";
    const fallback = one.default === undefined ? "" : `default ${JSON.stringify(one.default)}`;
    const note = required.includes(key) ? "required" : fallback;
    return [key, type, note, oneLine(typeof one.description === "string" ? one.description : "", TEXT_WIDTH)];
  });
}
