import { Option } from "commander";
import type { Role } from "../../contracts/fleet.ts";
import type { Call, Cli } from "../command.ts";
import { openHouse, projectOf } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { here } from "../here.ts";
import {
  addServeOptions,
  asReloaded,
  type ServeOptions,
  settingsSource,
  workUntilStopped,
} from "../serve.ts";
import { tellDefinitions, tellProject } from "../tell-definitions.ts";
import { plural } from "../text.ts";

export function addWorker({ program, act }: Cli): void {
  addServeOptions(
    program
      .command("worker")
      .description("drive runs, and keep house when no other process does; several may work on one database"),
  )
    .addOption(new Option("--until-stdin-ends", "stop with the process that started this one").hideHelp())
    .action(act(worker));
}

async function worker({ options, common, terminal }: Call<ServeOptions>): Promise<number> {
  const source = settingsSource(common, options);
  const config = await source();
  const house = await openHouse(config, here(), { settings: asReloaded(source) });
  tellProject(terminal, projectOf(here(), config.dataDir));
  tellDefinitions(terminal, house);
  const roles = config.roles.filter((role) => role !== "http");
  await house.start(roles.includes("worker") ? roles : ([...roles, "worker"] satisfies Role[]));
  const state = { data: config.dataDir, pid: process.pid, slots: config.slots };
  const announce = () =>
    terminal.result(state, () => `working on ${config.dataDir} with ${plural(config.slots, "slot")}`);
  await workUntilStopped({ house, terminal, options, announce, close: async () => {} });
  return EXIT.ok;
}
