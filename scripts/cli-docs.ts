import type { Command } from "commander";
import { createProgram } from "../src/cli/program.ts";

const INTRODUCTION = `# The command line

<!-- Generated from src/cli by \`npm run docs\`. -->

\`agent-runner <command>\`, or from a checkout \`npm run agent-runner -- <command>\` (paths are then relative to where
it is typed).

**With or without a server.** A command talks to the server named by \`--server\`, else to the one that works on the
data folder (it leaves its address there, in \`server.json\`), else it opens the data folder itself: the same API within
the process. \`run\` then drives the run too. Several processes may work on one data folder; there is at most one server.

**Output.** Results go to stdout, progress and remarks to stderr. With \`--json\` stdout holds one JSON document in the
shapes of the HTTP API (\`events\`: one event per line), and an error is one JSON object on stderr:
\`{ "error": { "code", "message", "remedy", "details"? } }\`. The codes are in [errors.md](errors.md).

**Settings** are environment variables; \`.env.example\` lists them. Options win over them.

## Exit codes

| code | meaning |
|---|---|
| 0 | done; of \`run\`: the run completed |
| 1 | it failed: the run, a check of \`doctor\`, or agent-runner itself |
| 2 | wrong usage or input, nothing was done; of \`validate\`: a file has errors |
| 3 | no server, no store, or no model: try again later |
| 4 | the run was canceled |
| 5 | with \`run --no-wait\`: the run waits for a person |
| 130 | left by a second Ctrl-C (\`events --follow\`: by the first) |
| 143 | left by SIGTERM; the run stays, and goes on where somebody works |

**Ctrl-C** asks \`run\` and \`demo\` to cancel the run, and lets \`start\` and \`worker\` drain: steps under way get
\`AGENT_RUNNER_DRAIN\` to end, and what is not done by then goes on at the next start. A second Ctrl-C ends the process at
once; nothing that was accepted is lost by that either. **SIGHUP** (not on Windows) lets \`start\` and \`worker\` read
\`AGENT_RUNNER_SLOTS\` of their \`--env-file\` again.
`;

/** The text of `docs/reference/cli.md`: the commands as they describe themselves. */
export function cliDocs(): string {
  const program = createProgram(() => {});
  const commands = program.commands
    .filter((command) => command.name() !== "help")
    .flatMap((command) => [command, ...command.commands])
    .map(commandText);
  const common = `## Options of every command\n\n${optionsTable(program)}`;
  return `${[INTRODUCTION.trim(), common, ...commands].join("\n\n")}\n`;
}

function commandText(command: Command): string {
  const args = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? ` <${name}>` : ` [${name}]`;
  });
  const of = command.parent?.parent ? `${command.parent.name()} ` : "";
  const name = `${of}${command.name()}`;
  const called = command.commands.length > 0 ? `${name} <command>` : `${name}${args.join("")}`;
  const title = `##${of === "" ? "" : "#"} ${name}\n\n\`agent-runner ${called}\``;
  const parts = [title, sentence(command.description()), optionsTable(command), remark(command)];
  return parts.filter((part) => part !== "").join("\n\n");
}

function optionsTable(command: Command): string {
  const rows = command.options
    .filter((option) => !option.hidden)
    .map((option) => {
      const fallback: unknown = option.defaultValue;
      const named = typeof fallback === "string" || typeof fallback === "number";
      const shown = named ? ` (default: \`${fallback}\`)` : "";
      return `| \`${option.flags.replaceAll("|", "\\|")}\` | ${option.description.replaceAll("|", "\\|")}${shown} |`;
    });
  return rows.length === 0 ? "" : ["| option | |", "|---|---|", ...rows].join("\n");
}

/** What stands below the options in a command's help; lines that are set in are commands. */
function remark(command: Command): string {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  const after = help.slice(command.helpInformation().length).trim();
  const [text = "", ...rest] = after.split(/\n\n(?= {2})/);
  const examples = rest.join("\n\n").replaceAll(/^ {2}/gm, "");
  return examples === "" ? text : `${text}\n\n\`\`\`sh\n${examples}\n\`\`\``;
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
