import { Option } from "commander";
import type { FakeModelsOptions } from "../../app/fake-models.ts";
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
  readonly pace?: number;
  readonly outageAt?: number;
  readonly outage: "dies" | "overloaded" | "hangs";
  readonly untilStdinEnds?: boolean;
}

const MOST_PORT = 65_535;
const MOST_PACE_MS = 60_000;
const MOST_ANSWERS = 1_000_000;

export function addFakeModels({ program, act }: Cli): void {
  program
    .command("fake-models")
    .description(
      "a server on loopback that speaks like the providers and plays a script: for trying things offline",
    )
    .option("--script <file>", "what it says; may be repeated (default: the script of the demo)", collect)
    .option("--ledger <file>", "append what it billed for every request, a line of JSON each")
    .option("--prices <file>", 'what it charges, USD per million tokens: {"*": {"input": 3, "output": 15}}')
    .option("--pace <ms>", "between the pieces of an answer", wholeNumber(0, MOST_PACE_MS))
    .option("--outage-at <n>", "be out of order from the n-th answer on", wholeNumber(1, MOST_ANSWERS))
    .addOption(
      new Option(
        "--outage <how>",
        "how: the process dies in the middle of that answer, or it answers 529, or nothing",
      )
        .choices(["dies", "overloaded", "hangs"])
        .default("dies"),
    )
    .addOption(new Option("--until-stdin-ends", "stop with the process that started this one").hideHelp())
    .option("--port <n>", "0 takes a free one", wholeNumber(0, MOST_PORT), 0)
    .action(act(fakeModels));
}

async function fakeModels({ options, terminal }: Call<Options>): Promise<number> {
  const { serveFakeModels } = await import("../../app/fake-models.ts");
  const scripts = options.script?.map(absolute) ?? [packageFile("examples", "demo-script.yaml")];
  const server = await serveFakeModels(settingsOf(options, scripts));
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
  if (options.untilStdinEnds) process.stdin.resume().once("close", () => stopped.resolve());
  terminal.result({ url, env }, () => `listening on ${url}; use it with one of\n${indent(lines.join("\n"))}`);
  await stopped.promise;
  await server.close();
  return EXIT.ok;
}

function settingsOf(options: Options, scripts: readonly string[]): FakeModelsOptions {
  const { ledger, prices, pace, outageAt, outage } = options;
  return {
    scripts,
    port: options.port,
    ...(ledger === undefined ? {} : { ledger: absolute(ledger) }),
    ...(prices === undefined ? {} : { prices: absolute(prices) }),
    ...(pace === undefined ? {} : { paceMs: pace }),
    ...(outageAt === undefined ? {} : { outage: { at: outageAt, kind: outage } }),
  };
}
