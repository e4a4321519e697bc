import { basename } from "node:path";
import { isJsonObject } from "../../base/json.ts";
import { FailureError } from "../../domain/errors.ts";
import type { Diagnostic, Workflow } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { diagnosticsText } from "../diagnostics.ts";
import { EXIT } from "../exit.ts";
import { readText } from "../inputs.ts";
import { withConnection } from "../with-connection.ts";

export function addUpload({ program, act }: Cli): void {
  program
    .command("upload <file>")
    .description("save a workflow as the newest of its name")
    .action(act(upload));
}

interface Uploaded {
  readonly workflow: Workflow;
  readonly created: boolean;
  readonly warnings: readonly Diagnostic[];
}

async function upload({ common, terminal }: Call<object>, file: string): Promise<number> {
  const source = await readText(file, "upload");
  return withConnection(common, async ({ client }) => {
    const request = { source, file: basename(file) };
    const saved = await client.post<Uploaded>("/workflows", request).catch((error: unknown) => {
      const diagnostics = diagnosticsIn(error);
      if (diagnostics.length > 0)
        terminal.say(`${diagnosticsText(terminal, diagnostics, { source, level: "error" })}\n`);
      throw error;
    });
    if (saved.warnings.length > 0)
      terminal.say(diagnosticsText(terminal, saved.warnings, { source, level: "warning" }));
    const { name, hash } = saved.workflow;
    terminal.result(
      saved,
      () => `${name} ${hash.slice(0, 12)} ${saved.created ? "saved" : "was there already"}`,
    );
    return EXIT.ok;
  });
}

/** What a refusal says of the places in the file. */
function diagnosticsIn(error: unknown): readonly Diagnostic[] {
  const details = error instanceof FailureError ? error.failure.details : undefined;
  if (!isJsonObject(details) || !Array.isArray(details.diagnostics)) return [];
  return details.diagnostics as unknown as readonly Diagnostic[];
}
