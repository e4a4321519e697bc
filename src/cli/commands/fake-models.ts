import { packageFile } from "../../app/package-files.ts";
import { type Call, type Cli, collect, wholeNumber } from "../command.ts";
import { EXIT } from "../exit.ts";
import { absolute } from "../here.ts";
import { onStop } from "../interrupts.ts";
import { indent } from "../text.ts";

interface Options {
  readonly port: number;
  readonly script?: readonly string[];
  readonly ledger?: string;
  readonly prices?: string;
}

const MOST_PORT = 65_535;

export function addFakeModels({ program, act }: Cli): void {
  program
    .command("fake-models")
    .description(
      "a server on loopback that speaks like the providers and plays a script: for trying things offline",
    )
    .option("--script <file>", "what it says; may be repeated (default: the script of the demo)", collect)
    .option("--ledger <file>", "append what it billed for every request, a line of JSON each")
    .option("--prices <file>", 'what it charges, USD per million tokens: {"*": {"input": 3, "output": 15}}')
    .option("--port <n>", "0 takes a free one", wholeNumber(0, MOST_PORT), 0)
    .action(act(fakeModels));
}

async function fakeModels({ options, terminal }: Call<Options>): Promise<number> {
  const { serveFakeModels } = await import("../../app/fake-models.ts");
  const scripts = options.script?.map(absolute) ?? [packageFile("examples", "demo-script.yaml")];
  const { ledger, prices } = options;
  const server = await serveFakeModels({
    scripts,
    port: options.port,
    ...(ledger === undefined ? {} : { ledger: absolute(ledger) }),
    ...(prices === undefined ? {} : { prices: absolute(prices) }),
  });
  const { url } = server;
  const env = {
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: "fake",
    OPENAI_BASE_URL: `${url}/v1`,
    GOOGLE_GEMINI_BASE_URL: url,
    OLLAMA_HOST: url,
  };
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const stopped = Promise.withResolvers<void>();
  onStop(() => stopped.resolve());
  terminal.result({ url, env }, () => `listening on ${url}; use it with one of\n${indent(lines.join("\n"))}`);
  await stopped.promise;
  await server.close();
  return EXIT.ok;
}
