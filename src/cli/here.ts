import { isAbsolute, relative, resolve } from "node:path";

/** Of package.json: they start this program from the package's folder, wherever they are typed. */
const OWN_SCRIPTS: ReadonlySet<string> = new Set(["agent-runner", "demo", "start"]);

function ownScript(): boolean {
  const script = process.env.npm_lifecycle_event ?? "";
  return OWN_SCRIPTS.has(script) && (process.argv[1] ?? "").endsWith("main.ts");
}

/** The folder in which the command was typed. */
export function here(): string {
  const typed = process.env.INIT_CWD;
  return ownScript() && typed !== undefined && isAbsolute(typed) ? typed : process.cwd();
}

export function absolute(path: string): string {
  return resolve(here(), path);
}

/** What to type in front of another command, so that it reaches the same place. */
export function commandLine(common: { readonly data?: string; readonly server?: string }): string {
  const name = ownScript() ? "npm run agent-runner --" : programName(process.argv[1] ?? "");
  const data = common.data === undefined ? "" : ` --data ${quoted(absolute(common.data))}`;
  const server = common.server === undefined ? "" : ` --server ${common.server}`;
  return `${name}${data}${server}`;
}

/** From a checkout it is started as a file; installed, by its name. */
function programName(main: string): string {
  if (!main.endsWith(".ts")) return "agent-runner";
  const near = relative(process.cwd(), main);
  return `node ${quoted(near.startsWith("..") ? main : near)}`;
}

export function quoted(text: string): string {
  return /^[\w@%+=:,./\\~-]+$/.test(text) ? text : JSON.stringify(text);
}
