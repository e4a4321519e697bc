import { Option } from "commander";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import { configOf, openHouse, projectOf } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { here } from "../here.ts";
import { type ServeOptions, workUntilStopped } from "../serve.ts";
import { readSettings } from "../settings-file.ts";
import { tellDefinitions, tellProject } from "../tell-definitions.ts";
import { plural } from "../text.ts";

export const MOST_SLOTS = 10_000;

export function addWorker({ program, act }: Cli): void {
  program
    .command("worker")
    .description("drive runs, without an API; several may work on one data folder")
    .option("--slots <n>", "runs driven at the same time", wholeNumber(1, MOST_SLOTS))
    .option("--env-file <file>", "settings as NAME=value lines; SIGHUP reads AGENT_RUNNER_SLOTS of it again")
    .addOption(new Option("--until-stdin-ends", "stop with the process that started this one").hideHelp())
    .action(act(worker));
}

async function worker({ options, common, terminal }: Call<ServeOptions>): Promise<number> {
  const settings = await readSettings(options.envFile);
  const slots = options.slots === undefined ? {} : { AGENT_RUNNER_SLOTS: String(options.slots) };
  const config = configOf(common, { ...settings, ...slots });
  const house = await openHouse(config, here());
  tellProject(terminal, projectOf(here(), config.dataDir));
  tellDefinitions(terminal, house);
  await house.start();
  const state = { data: config.dataDir, pid: process.pid, slots: config.slots };
  const announce = () =>
    terminal.result(state, () => `working on ${config.dataDir} with ${plural(config.slots, "slot")}`);
  await workUntilStopped({ house, terminal, common, options, announce, close: async () => {} });
  return EXIT.ok;
}
