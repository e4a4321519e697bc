import { formatDuration } from "../../base/duration.ts";
import type { Agent, AgentListItem } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { tellDefinitions } from "../tell-definitions.ts";
import { type Terminal, table } from "../terminal.ts";
import { indent, oneLine, plain } from "../text.ts";
import { withConnection } from "../with-connection.ts";

const TEXT_WIDTH = 90;

export function addAgents({ program, act }: Cli): void {
  program
    .command("agents [name]")
    .description("list agents, or show one with its prompt")
    .action(act(agents));
}

function agents({ common, terminal }: Call<object>, name: string | undefined): Promise<number> {
  return withConnection(common, async ({ client, house }) => {
    tellDefinitions(terminal, house);
    if (name === undefined) {
      const list = await client.get<{ readonly agents: readonly AgentListItem[] }>("/agents");
      terminal.result(list, () => listText(list.agents));
      return EXIT.ok;
    }
    const agent = await client.get<Agent>(`/agents/${encodeURIComponent(name)}`);
    terminal.result(agent, () => agentText(terminal, agent));
    return EXIT.ok;
  });
}

function listText(agents: readonly AgentListItem[]): string {
  const rows = agents.map((one) => [
    one.name,
    one.model ?? `(${one.stage})`,
    String(one.tools.length),
    oneLine(one.description, TEXT_WIDTH),
  ]);
  return table([["AGENT", "MODEL", "TOOLS", ""], ...rows]);
}

function agentText(terminal: Terminal, agent: Agent): string {
  const { limits } = agent;
  const rows = [
    ["model", agent.model ?? `the default of the stage ${agent.stage}`],
    ["tools", agent.tools.join(", ") || "none"],
    ["limits", `${limits.turns} turns, ${limits.tokens} tokens, ${formatDuration(limits.wall_time_ms)}`],
    ["gates", agent.validation.gates ? `must be green, ${limits.repair_rounds} repair rounds` : "not asked"],
  ];
  const head = `${terminal.style("bold", agent.name)}  ${agent.hash.slice(0, 12)}\n${plain(agent.description)}`;
  return `${head}\n\n${table(rows)}\n\nprompt\n${indent(plain(agent.prompt.trim()))}`;
}
