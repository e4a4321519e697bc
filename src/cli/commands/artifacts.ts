import { writeFile } from "node:fs/promises";
import { nearest } from "../../base/text.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Artifact } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { downloadPath } from "../evidence.ts";
import { EXIT } from "../exit.ts";
import { absolute } from "../here.ts";
import { table } from "../terminal.ts";
import { bytesText, plain } from "../text.ts";
import { withConnection } from "../with-connection.ts";

interface Options {
  readonly output?: string;
}

export function addArtifacts({ program, act }: Cli): void {
  program
    .command("artifacts <run> [artifact]")
    .description("list what a run left, or download one by its id or name")
    .option("-o, --output <file>", "write it there instead of to stdout")
    .action(act(artifacts));
}

function artifacts(call: Call<Options>, run: string, wanted: string | undefined): Promise<number> {
  const { common, terminal, options } = call;
  return withConnection(common, async ({ client }) => {
    const path = `/runs/${encodeURIComponent(run)}/artifacts`;
    const listed = await client.get<{ readonly artifacts: readonly Artifact[] }>(path);
    if (wanted === undefined) {
      terminal.result(listed, () => listText(listed.artifacts));
      return EXIT.ok;
    }
    const artifact = find(listed.artifacts, wanted);
    const content = await client.download(downloadPath(run, artifact));
    if (options.output === undefined) {
      // The content as it is: with --json too, as there is no better form of it.
      await new Promise<void>((resolve) => process.stdout.write(content, () => resolve()));
      return EXIT.ok;
    }
    const file = absolute(options.output);
    await writeFile(file, content).catch((error: Error) => {
      throw new FailureError(failure("invalid_usage", `${file} cannot be written: ${error.message}`));
    });
    terminal.result({ ...artifact, file }, () => `${file}  ${bytesText(content.byteLength)}`);
    return EXIT.ok;
  });
}

/** By id; else the latest of that name. */
function find(artifacts: readonly Artifact[], wanted: string): Artifact {
  const found =
    artifacts.find(({ id }) => id === wanted) ?? artifacts.findLast(({ name }) => name === wanted);
  if (found) return found;
  const names = artifacts.flatMap(({ id, name }) => [id, name]);
  const near = nearest(wanted, names);
  const hint = near === null ? "" : ` Did you mean ${JSON.stringify(near)}?`;
  throw new FailureError(failure("not_found", `The run has no artifact ${JSON.stringify(wanted)}.${hint}`));
}

function listText(artifacts: readonly Artifact[]): string {
  if (artifacts.length === 0) return "no artifacts";
  const rows = artifacts.map((one) => [one.id, plain(one.name), one.kind, bytesText(one.bytes), one.step]);
  return table([["ID", "NAME", "KIND", "SIZE", "STEP"], ...rows]);
}
