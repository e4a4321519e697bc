import { readFile } from "node:fs/promises";
import type { Diagnostic } from "../../contracts/definitions.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Call, Cli } from "../command.ts";
import { diagnosticsText } from "../diagnostics.ts";
import { EXIT } from "../exit.ts";
import { absolute } from "../here.ts";

const HELP = `
Workflows (.yaml), agents (.md) and .agent-runner/gates.yaml. Nothing is saved and no data folder is needed.
Exit code 2 when any file has an error.`;

export function addValidate({ program, act }: Cli): void {
  program
    .command("validate <files...>")
    .description("check workflows, agents and gates: line, column, what was expected")
    .addHelpText("after", HELP)
    .action(act(validate));
}

interface Checked {
  readonly file: string;
  readonly kind: string;
  readonly valid: boolean;
  readonly name: string | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}

async function validate({ terminal }: Call<object>, files: readonly string[]): Promise<number> {
  const { checkFile } = await import("../../app/check-file.ts");
  const results: Checked[] = [];
  for (const file of files) {
    const source = await readFile(absolute(file), "utf8").catch((error: Error) => {
      throw new FailureError(failure("invalid_usage", `${file} cannot be read: ${error.message}`));
    });
    const checked = checkFile(file, source);
    if (checked === null) {
      const message = `${file} is neither a workflow (.yaml, .yml) nor an agent (.md)`;
      throw new FailureError(failure("invalid_usage", message));
    }
    results.push({ file, ...checked });
    const { diagnostics, warnings } = checked;
    if (diagnostics.length > 0)
      terminal.say(`${diagnosticsText(terminal, diagnostics, { source, level: "error" })}\n`);
    if (warnings.length > 0)
      terminal.say(`${diagnosticsText(terminal, warnings, { source, level: "warning" })}\n`);
  }
  const valid = results.every((one) => one.valid);
  terminal.result({ valid, files: results }, () => results.map((one) => lineOf(one)).join("\n"));
  return valid ? EXIT.ok : EXIT.usage;
}

function lineOf({ file, kind, valid, name, diagnostics }: Checked): string {
  if (!valid) return `✗ ${file}: ${diagnostics.length} ${diagnostics.length === 1 ? "error" : "errors"}`;
  return `✓ ${file}: ${kind}${name === null ? "" : ` ${name}`}`;
}
