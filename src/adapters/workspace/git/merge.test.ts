import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createGit } from "./git.ts";
import { mergeByIndex } from "./merge.ts";
import {
  commitAll,
  committed,
  git,
  must,
  never,
  refused,
  started,
  tempFolder,
  write,
} from "./playground.suite.ts";
import { open } from "./stage.ts";
import { placesOf } from "./state.ts";

describe("conflicts", () => {
  const both = async (files: Readonly<Record<string, string>>, ours: object, theirs: object) => {
    const start = await started(files);
    const { repo, workspaces, workspace } = start;
    for (const [path, content] of Object.entries(ours)) write(workspace.root, path, content as string);
    must(await committed(workspaces, workspace));
    commitAll(repo, theirs as Readonly<Record<string, string>>, "the base moves on");
    return { ...start, found: must(await workspaces.conflicts(workspace, never)) };
  };
  const lines = (n: number, at?: number, text = "") =>
    Array.from({ length: n }, (_, i) => `${i === at ? text : `line ${i}`}\n`).join("");

  it("are none while the base stands still", async () => {
    const { workspaces, workspace } = await started();
    write(workspace.root, "a.txt", "x");
    must(await committed(workspaces, workspace));
    expect(must(await workspaces.conflicts(workspace, never))).toEqual({ baseMoved: false, paths: [] });
  });

  it("are none where both sides fit together", async () => {
    const { found } = await both(
      { "a.txt": lines(30) },
      { "a.txt": lines(30, 2, "ours") },
      { "a.txt": lines(30, 25, "theirs") },
    );
    expect(found).toEqual({ baseMoved: true, paths: [] });
  });

  it("are named where they do not, and old gits find the same", async () => {
    const ours = { "a.txt": lines(9, 4, "ours"), "ü b.txt": "ours\n", "c.txt": lines(30, 2, "ours") };
    const theirs = {
      "a.txt": lines(9, 4, "theirs"),
      "ü b.txt": "theirs\n",
      "c.txt": lines(30, 25, "theirs"),
    };
    const start = await both({ "a.txt": lines(9), "c.txt": lines(30) }, ours, theirs);
    expect(start.found).toEqual({ baseMoved: true, paths: ["a.txt", "ü b.txt"] });
    const places = placesOf(start.dataDir);
    const context = {
      git: createGit({ program: "git", noHooks: places.noHooks, environment: process.env }),
      cwd: places.states,
      signal: never,
    };
    const opened = await open(context, places, start.workspace);
    const [base, head] = [
      git(start.repo, "rev-parse", "main"),
      git(start.repo, "rev-parse", start.workspace.branch),
    ];
    expect([...(await mergeByIndex(opened, base, head))].sort()).toEqual(["a.txt", "ü b.txt"]);
    const untouched = git(start.repo, "status", "--porcelain");
    expect(untouched).toBe("");
  });

  it("run no merge program that the repository names", async () => {
    const start = await started({ "a.txt": lines(9), ".gitattributes": "*.txt merge=evil\n" });
    const proof = join(tempFolder("proof"), "ran");
    git(start.repo, "config", "merge.evil.driver", `touch '${proof}'`);
    write(start.workspace.root, "a.txt", lines(9, 1, "ours"));
    must(await committed(start.workspaces, start.workspace));
    commitAll(start.repo, { "a.txt": lines(9, 7, "theirs") }, "moves on");
    must(await start.workspaces.conflicts(start.workspace, never));
    expect(existsSync(proof)).toBe(false);
  });

  it("say so when the base is gone", async () => {
    const { repo, workspaces, workspace } = await started();
    git(repo, "checkout", "-q", "-b", "other");
    git(repo, "branch", "-D", "main");
    expect(refused(await workspaces.conflicts(workspace, never))).toMatchObject({ code: "git_failed" });
  });
});
