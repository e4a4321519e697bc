import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
/** What the command lines of tests must not take from whoever runs them. */
const FOREIGN =
  /^(AGENT_RUNNER_|ANTHROPIC_|OPENAI_|GEMINI_|GOOGLE_|OLLAMA_|GIT_|npm_|NODE_TEST|VITEST|FORCE_COLOR|INIT_CWD)/;

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves once either stream has said it; rejects when the process ends without. */
  says(text: string | RegExp): Promise<string>;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** Real command lines in a folder of their own. */
export class Desk {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "agent-runner-cli-")));
  readonly data = join(this.root, "data");
  readonly #running = new Set<ChildProcess>();

  /** `--data` is this desk's, unless the arguments name another. */
  start(args: readonly string[], options: RunOptions = {}): Running {
    const own = args.includes("--data") ? [] : ["--data", this.data];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN.test(name)));
    const child = spawn(process.execPath, [MAIN, ...own, ...args], {
      cwd: options.cwd ?? this.root,
      env: { ...env, NO_COLOR: "1", ...options.env },
    });
    this.#running.add(child);
    child.stdin?.on("error", () => {}).end(options.stdin ?? "");
    const heard = { stdout: "", stderr: "" };
    const listeners = new Set<() => void>();
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        heard[name] += text;
        for (const listener of listeners) listener();
      });
    }
    const ended = new Promise<Ended>((resolve) => {
      child.once("close", (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal, ...heard });
      });
    });
    const says = (text: string | RegExp) =>
      new Promise<string>((resolve, reject) => {
        const look = () => {
          const all = heard.stdout + heard.stderr;
          const found = typeof text === "string" ? all.includes(text) : text.test(all);
          if (found) resolve(all);
        };
        listeners.add(look);
        look();
        void ended.then(() =>
          reject(new Error(`it ended without saying ${text}:\n${heard.stdout}${heard.stderr}`)),
        );
      });
    return { child, ended, says };
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** The JSON that a command says with `--json`; fails when its exit code is another than expected. */
  async json<T = Record<string, unknown>>(
    args: readonly string[],
    code = 0,
    options: RunOptions = {},
  ): Promise<T> {
    const ended = await this.run([...args, "--json"], options);
    if (ended.code !== code)
      throw new Error(`${args.join(" ")} ended with ${ended.code}:\n${ended.stdout}${ended.stderr}`);
    return JSON.parse(ended.stdout) as T;
  }

  file(path: string, content: string): string {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  /** A git repository with one commit of these files. */
  repository(name: string, files: Readonly<Record<string, string>>): string {
    const root = join(this.root, name);
    for (const [path, content] of Object.entries(files)) this.file(join(name, path), content);
    const git = (...args: string[]) => execFileSync("git", args, { cwd: root, stdio: "ignore" });
    git("-c", "init.defaultBranch=main", "init", "-q");
    git("add", "--all");
    git(
      "-c",
      "user.name=T",
      "-c",
      "user.email=t@example.com",
      "-c",
      "commit.gpgsign=false",
      "commit",
      "-qm",
      "first",
    );
    return root;
  }

  async close(): Promise<void> {
    const all = [...this.#running];
    const gone = all.map((child) => new Promise((resolve) => child.once("close", resolve)));
    for (const child of all) child.kill("SIGKILL");
    await Promise.all(gone);
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}
