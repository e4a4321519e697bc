import { spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Trial, Trier } from "../../contracts/model-bench.ts";

const TRIAL_MS = 20_000;
const MAX_OUTPUT = 4_000;
const SHOWN = 200;

export interface TrierParts {
  /** Of it only what programs are found by is given on. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly limitMs?: number;
}

/**
 * Runs what models wrote, in a folder of its own that is removed afterwards: Node's permission model lets it read that
 * folder and nothing else (no writing, no processes, no workers, no add-ons), with an empty environment and a time
 * limit. It can still use the network and the processor; whoever tries strange models tries them in a container.
 */
export function nodeTrier(parts: TrierParts): Trier {
  const { environment, limitMs = TRIAL_MS } = parts;
  const { PATH = "", SystemRoot = "" } = environment;
  return {
    async try(trial, answer, signal) {
      let root: string | null = null;
      try {
        root = await realpath(await mkdtemp(join(tmpdir(), "agent-runner-trial-")));
        return await perform(root, {
          trial,
          answer,
          environment: { PATH, SystemRoot },
          signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
        });
      } catch (error) {
        return { passed: false, detail: (error as Error).message };
      } finally {
        if (root !== null) await rm(root, { recursive: true, force: true });
      }
    },
  };
}

interface Asked {
  readonly trial: Trial;
  readonly answer: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

async function perform(
  root: string,
  asked: Asked,
): Promise<{ readonly passed: boolean; readonly detail: string }> {
  const { trial, answer } = asked;
  const put = async (path: string, content: string) => {
    const file = join(root, ...path.split("/"));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  };
  for (const [path, content] of Object.entries(trial.files)) await put(path, content);
  if (trial.answer === "code") {
    await put(trial.file, answer);
    // What is asked of the answer is not the answer's to change.
    const own = trial.files[trial.run];
    if (own !== undefined && trial.run !== trial.file) await put(trial.run, own);
  } else {
    const applied = await command("git", ["apply", "--recount", "-"], { ...asked, cwd: root, input: answer });
    if (applied.code !== 0) return { passed: false, detail: `does not apply: ${applied.said}` };
    const own = trial.files[trial.run];
    if (own !== undefined) await put(trial.run, own);
  }
  const args = ["--permission", `--allow-fs-read=${root}`, join(root, ...trial.run.split("/"))];
  const ran = await command(process.execPath, args, { ...asked, cwd: root });
  return { passed: ran.code === 0, detail: ran.code === 0 ? "" : ran.said };
}

async function command(
  program: string,
  args: readonly string[],
  of: Pick<Asked, "environment" | "signal"> & { readonly cwd: string; readonly input?: string },
): Promise<{ readonly code: number | null; readonly said: string }> {
  // Git looks for repositories upwards; the folder of the trial is in none.
  const env = { ...of.environment, GIT_CEILING_DIRECTORIES: dirname(of.cwd), NO_COLOR: "1" };
  const { cwd, signal } = of;
  const child = spawn(program, args, { cwd, env, signal, killSignal: "SIGKILL", windowsHide: true });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      if (said.length < MAX_OUTPUT) said += chunk;
    });
  }
  child.stdin.on("error", () => {}).end(of.input ?? "");
  return new Promise((resolve) => {
    child.once("error", (error) =>
      resolve({ code: null, said: signal.aborted ? "stopped: it took too long" : error.message }),
    );
    child.once("close", (code) => resolve({ code, said: telling(said, of.cwd) }));
  });
}

/** The line that names the error; else the first one. */
function telling(said: string, root: string): string {
  const lines = said
    .replaceAll(root, ".")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const line = lines.find((one) => /^(\w*Error\b|error:)/.test(one)) ?? lines[0] ?? "said nothing";
  return line.slice(0, SHOWN);
}
