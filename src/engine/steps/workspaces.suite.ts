import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import type { ChangedFile, CommitInfo, Workspace, Workspaces } from "../../contracts/workspace.ts";
import { fail, ok } from "../../domain/errors.ts";
import { sha256 } from "./digest.ts";

const gitEnv = {
  ...process.env,
  GIT_AUTHOR_NAME: "T",
  GIT_AUTHOR_EMAIL: "t@example.com",
  GIT_COMMITTER_NAME: "T",
  GIT_COMMITTER_EMAIL: "t@example.com",
  GIT_CONFIG_GLOBAL: "/dev/null",
};

export function git(cwd: string, args: readonly string[], env: Record<string, string> = {}): string {
  const ran = spawnSync("git", [...args], { cwd, encoding: "utf8", env: { ...gitEnv, ...env } });
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`);
  return ran.stdout;
}

const STATUS = { A: "added", M: "modified", D: "deleted" } as const;

/** Real git, as small as can be: what is in the work tree, one commit, found again by its trailer. */
export function smallWorkspaces(): Workspaces & { readonly commits: number } {
  let commits = 0;
  const treeOf = (root: string): string => {
    const index = join(mkdtempSync(join(tmpdir(), "index-")), "index");
    git(root, ["add", "-A"], { GIT_INDEX_FILE: index });
    const tree = git(root, ["write-tree"], { GIT_INDEX_FILE: index }).trim();
    rmSync(dirname(index), { recursive: true, force: true });
    return tree;
  };
  const filesBetween = (root: string, a: string, b: string): ChangedFile[] =>
    git(root, ["diff", "--name-status", "--no-renames", a, b])
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [mark = "M", path = ""] = line.split("\t");
        const status = STATUS[mark as keyof typeof STATUS];
        return { path, status, insertions: 1, deletions: 0, binary: false };
      });
  const infoOf = (workspace: Workspace, commit: string): CommitInfo => ({
    commit,
    branch: workspace.branch,
    files: filesBetween(workspace.root, workspace.baseCommit, commit),
    keptOut: [],
  });
  const never = async () => fail<never>("internal", "not part of this world");
  return {
    get commits() {
      return commits;
    },
    async prepare(request) {
      if (request.branch === "taken") return fail("branch_exists", "taken");
      const root = request.repo;
      git(root, ["checkout", "-q", "-B", request.branch]);
      const baseCommit = git(root, ["rev-parse", "HEAD"]).trim();
      return ok({ ...request, root, baseRef: request.base ?? "main", baseCommit });
    },
    async changes(workspace) {
      const tree = treeOf(workspace.root);
      const patch = git(workspace.root, ["diff", workspace.baseCommit, tree]);
      return ok({ files: filesBetween(workspace.root, workspace.baseCommit, tree), patch, treeHash: tree });
    },
    async commit({ workspace, message, trailers }) {
      const { root } = workspace;
      if (treeOf(root) === git(root, ["rev-parse", "HEAD^{tree}"]).trim())
        return ok({ kind: "nothing", keptOut: [] });
      git(root, ["add", "-A"]);
      const added = git(root, ["diff", "--cached"]);
      if (/AKIA[0-9A-Z]{16}/.test(added)) return fail("secret_found", "an access key in the change");
      const tail = Object.entries(trailers).map(([key, value]) => `${key}: ${value}`);
      git(root, ["commit", "-q", "-m", message.trim(), "-m", tail.join("\n")]);
      commits += 1;
      return ok({ kind: "committed", info: infoOf(workspace, git(root, ["rev-parse", "HEAD"]).trim()) });
    },
    async findCommit(workspace, trailer) {
      const range = [
        `${workspace.baseCommit}..HEAD`,
        "--format=%H",
        `--grep=^${trailer.key}: ${trailer.value}$`,
      ];
      const [commit = ""] = git(workspace.root, ["log", ...range]).split("\n");
      return ok(commit === "" ? null : infoOf(workspace, commit));
    },
    conflicts: async () => ok({ baseMoved: false, paths: [] }),
    async push(workspace, remote) {
      git(workspace.root, ["push", "-q", remote, `HEAD:refs/heads/${workspace.branch}`]);
      const commit = git(workspace.root, ["rev-parse", "HEAD"]).trim();
      return ok({ remote, ref: `refs/heads/${workspace.branch}`, commit });
    },
    async remoteCommit(workspace, remote) {
      const [commit = ""] = git(workspace.root, [
        "ls-remote",
        remote,
        `refs/heads/${workspace.branch}`,
      ]).split("\t");
      return ok(commit === "" ? null : commit);
    },
    collect: never,
  };
}

/** Folders that hold no more than a few files, and no git: changes are what differs from the beginning. */
export function plainWorkspaces(root: string): Pick<Workspaces, "changes"> {
  const contents = (): Map<string, string> => {
    const found = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const paths = found.map((entry) => join(entry.parentPath, entry.name)).sort();
    return new Map(paths.map((path) => [relative(root, path), readFileSync(path, "utf8")]));
  };
  const before = contents();
  return {
    async changes() {
      const now = contents();
      const files = [...now].flatMap(([path, content]): ChangedFile[] => {
        if (before.get(path) === content) return [];
        const status = before.has(path) ? "modified" : "added";
        return [{ path, status, insertions: 1, deletions: 0, binary: false }];
      });
      return ok({ files, patch: "", treeHash: sha256(JSON.stringify([...now])) });
    },
  };
}
