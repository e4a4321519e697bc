import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";

/** A temporary folder that goes with the test. */
export function tempFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "context-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** A real git repository in a temporary folder, untouched by the settings of whoever runs the tests. */
export class GitFixture {
  readonly root: string;

  constructor(root = tempFolder()) {
    this.root = root;
    this.git("init", "--quiet", "--initial-branch=main");
  }

  git(...args: readonly string[]): string {
    const identity = { NAME: "Tester", EMAIL: "tester@example.org", DATE: "2026-01-01T00:00:00Z" };
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      GIT_CONFIG_GLOBAL: path.join(this.root, "none"),
      GIT_CONFIG_NOSYSTEM: "1",
    };
    for (const [name, value] of Object.entries(identity)) {
      env[`GIT_AUTHOR_${name}`] = value;
      env[`GIT_COMMITTER_${name}`] = value;
    }
    return execFileSync("git", ["-c", "core.autocrlf=false", ...args], {
      cwd: this.root,
      env,
      encoding: "utf8",
      stdio: "pipe",
    }).trim();
  }

  write(files: Readonly<Record<string, string | Uint8Array>>): void {
    for (const [name, contents] of Object.entries(files)) {
      const file = path.join(this.root, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, contents);
    }
  }

  /** Writes and commits the files; returns the commit. */
  commit(message: string, files: Readonly<Record<string, string | Uint8Array>>): string {
    this.write(files);
    this.git("add", "--all");
    this.git("commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", message);
    return this.git("rev-parse", "HEAD");
  }
}
