import type { ProviderList } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { table } from "../terminal.ts";
import { oneLine } from "../text.ts";
import { withConnection } from "../with-connection.ts";

const MODELS_SHOWN = 5;
const TEXT_WIDTH = 100;

export function addProviders({ program, act }: Cli): void {
  program
    .command("providers")
    .description("the configured model providers, each asked how it is")
    .action(act(providers));
}

function providers({ common, terminal }: Call<object>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const list = await client.get<ProviderList>("/providers");
    terminal.result(list, () =>
      list.providers.length === 0 ? "none is configured; docs/PROVIDERS.md says how" : listText(list),
    );
    return list.providers.some(({ status }) => status === "ok") ? EXIT.ok : EXIT.unavailable;
  });
}

function listText({ providers }: ProviderList): string {
  const rows = providers.map((one) => {
    const more = one.models.length - MODELS_SHOWN;
    const models = one.models.slice(0, MODELS_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
    return [
      one.is_default ? `${one.name} *` : one.name,
      one.status,
      oneLine([one.detail, models].filter((text) => text !== "").join("; "), TEXT_WIDTH),
    ];
  });
  return table([["PROVIDER", "STATUS", ""], ...rows]);
}
