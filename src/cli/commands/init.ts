import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gatesOf } from "../../app/repo-gates.ts";
import { formatDuration } from "../../base/duration.ts";
import type { GateSpec } from "../../contracts/gates.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { git } from "../git.ts";
import { absolute, commandLine, quoted } from "../here.ts";
import { indent } from "../text.ts";

const FOLDER = ".agent-runner";

export function addInit({ program, act }: Cli): void {
  program
    .command("init [dir]")
    .description("prepare a repository: write the gates that were detected to .agent-runner/gates.yaml")
    .action(act(init));
}

async function init({ terminal, common }: Call<object>, dir = "."): Promise<number> {
  const root = await topOf(absolute(dir));
  const folder = join(root, FOLDER);
  const files = { gates: join(folder, "gates.yaml"), readme: join(folder, "README.md") };
  for (const file of Object.values(files)) {
    if (!existsSync(file)) continue;
    const message = `${file} is there already, and nothing is overwritten; edit it, or remove it first`;
    throw new FailureError(failure("conflict", message));
  }
  const found = await gatesOf(root);
  if (!found.ok) throw new FailureError(found.failure);
  const gates = found.value;
  await mkdir(folder, { recursive: true });
  await writeFile(files.gates, gatesFile(gates), { flag: "wx" });
  await writeFile(files.readme, README, { flag: "wx" });
  const names = gates.map(({ name }) => name);
  const command = commandLine(common);
  const next = [
    `look at ${files.gates}, and commit it`,
    `${command} validate ${quoted(files.gates)}`,
    `${command} doctor`,
    `${command} run code-change --repo ${quoted(root)} --task "…"`,
  ];
  const told =
    names.length === 0 ? "No gates were detected: name them in the file." : `Gates: ${names.join(", ")}.`;
  terminal.result({ root, files: Object.values(files), gates: names }, () => {
    return `Wrote ${files.gates}\n  and ${files.readme}\n${told}\n\nNext:\n${indent(next.join("\n"))}`;
  });
  return EXIT.ok;
}

async function topOf(dir: string): Promise<string> {
  if (!existsSync(dir)) throw new FailureError(failure("invalid_usage", `${dir} does not exist`));
  try {
    return (await git(dir, "rev-parse", "--show-toplevel")).trim();
  } catch (error) {
    if (error instanceof FailureError && error.failure.code === "git_missing") throw error;
    throw new FailureError(failure("not_a_repository", `${dir} is not in a git repository`));
  }
}

/** JSON is YAML: quoting as JSON does is right for every name and argument. */
function gatesFile(gates: readonly GateSpec[]): string {
  const head = `# What judges a change of this repository. A change is committed only when every required gate is green.
# Each gate runs from the root of the repository, in order. docs/reference/gates.md of agent-runner has the format.
`;
  if (gates.length === 0) {
    return `${head}
# Nothing was detected. For example:
#   - name: test
#     run: make test          # a line for the shell, or a list: the program and its arguments
#     timeout: 10m
#     required: true
gates: []
`;
  }
  const entries = gates.map((gate) => {
    const command = "shell" in gate.run ? gate.run.shell : [gate.run.program, ...gate.run.args];
    const workdir = gate.workdir === "." ? "" : `\n    workdir: ${JSON.stringify(gate.workdir)}`;
    const required = gate.required ? "" : "\n    required: false # reported, and does not stop a commit";
    return `  - name: ${gate.name}\n    run: ${yamlOf(command)}${workdir}\n    timeout: ${timeoutOf(gate)}${required}`;
  });
  return `${head}# These were detected; change them as you like.\ngates:\n${entries.join("\n")}\n`;
}

function yamlOf(command: string | readonly string[]): string {
  if (typeof command === "string") return JSON.stringify(command);
  return `[${command.map((part) => JSON.stringify(part)).join(", ")}]`;
}

const MINUTE_MS = 60_000;

function timeoutOf({ timeoutMs }: GateSpec): string {
  return timeoutMs % MINUTE_MS === 0 ? `${timeoutMs / MINUTE_MS}m` : formatDuration(timeoutMs);
}

const README = `# .agent-runner

How agent-runner works in this repository.

- \`gates.yaml\`: the commands that judge a change (lint, types, tests). Without it, gates are detected.
- \`workflows/*.yaml\`: workflows of this repository, over the built-in ones of the same name.
- \`agents/*.md\`: agents of this repository, over the built-in ones of the same name.

Check them with \`agent-runner validate <file>\`.
`;
