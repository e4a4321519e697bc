import type { ModelList } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { table } from "../terminal.ts";
import { oneLine } from "../text.ts";
import { withConnection } from "../with-connection.ts";

const TEXT_WIDTH = 60;
const MICROS = 1_000_000;

type Model = ModelList["models"][number];

interface Options {
  readonly all?: boolean;
}

export function addModels({ program, act }: Cli): void {
  program
    .command("models")
    .description("the models that can be used, with price, quality and how they are doing")
    .option("--all", "also those of providers that are not configured")
    .action(act(models));
}

function models({ common, terminal, options }: Call<Options>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const list = await client.get<ModelList>("/models");
    const shown = options.all === true ? list.models : list.models.filter((one) => one.available);
    terminal.result({ models: shown }, () =>
      shown.length === 0 ? "no provider is configured; docs/PROVIDERS.md says how" : listText(shown),
    );
    return shown.length > 0 ? EXIT.ok : EXIT.unavailable;
  });
}

function listText(shown: readonly Model[]): string {
  const rows = shown.map((one) => {
    const { health, price, context_tokens: context } = one;
    const from = health.from === null ? "" : `says ${health.from}`;
    return [
      `${one.provider}/${one.model}`,
      String(one.quality),
      context === null ? "?" : `${Math.round(context / 1_000)}k`,
      price === null ? "unknown" : `${price.input / MICROS} / ${price.output / MICROS}`,
      health.state,
      health.ttft_ms === null ? "" : `${health.ttft_ms}ms`,
      oneLine(
        [one.stages.join(", "), health.detail, from].filter((text) => text !== "").join("; "),
        TEXT_WIDTH,
      ),
    ];
  });
  return table([["MODEL", "TIER", "WINDOW", "$/M IN / OUT", "STATE", "TTFT", "STAGES"], ...rows]);
}
