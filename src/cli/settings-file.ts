import { parseEnv } from "node:util";
import { readText } from "./inputs.ts";

type Settings = Readonly<Record<string, string | undefined>>;

/** What a file of `NAME=value` lines says; variables that are set already win over it. */
export async function readSettings(path: string | undefined): Promise<Settings> {
  if (path === undefined) return {};
  const given = parseEnv(await readText(path, "--env-file"));
  return Object.fromEntries(Object.entries(given).filter(([name]) => process.env[name] === undefined));
}
