import { access, constants } from "node:fs/promises";
import { arch, platform, release } from "node:os";
import { delimiter, join } from "node:path";

/** Programs worth knowing about before the first command. */
const KNOWN_PROGRAMS = [
  "git",
  "rg",
  "jq",
  "make",
  "node",
  "npm",
  "pnpm",
  "yarn",
  "bun",
  "deno",
  "python3",
  "pip",
  "uv",
  "ruff",
  "go",
  "cargo",
  "java",
  "mvn",
  "gradle",
  "dotnet",
  "gcc",
  "cmake",
  "ruby",
  "php",
  "docker",
];
const MAX_PATH_FOLDERS = 100;

export function operatingSystem(): string {
  return `${platform()} ${release()} (${arch()})`;
}

/** Which of the programs that builds and tests usually need are on the PATH. */
export async function programsOnPath(path: string): Promise<readonly string[]> {
  const folders = path
    .split(delimiter)
    .filter((folder) => folder !== "")
    .slice(0, MAX_PATH_FOLDERS);
  const endings = platform() === "win32" ? [".exe", ".cmd", ".bat"] : [""];
  const found = await Promise.all(
    KNOWN_PROGRAMS.map(async (program) => {
      for (const folder of folders) {
        for (const ending of endings) {
          if (await isExecutable(join(folder, program + ending))) return program;
        }
      }
      return null;
    }),
  );
  return found.filter((program) => program !== null);
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
