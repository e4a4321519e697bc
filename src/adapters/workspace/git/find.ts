import type { CommitInfo } from "../../../contracts/workspace.ts";
import { checkTrailer } from "./commit.ts";
import { changedFile, LIST_FLAGS, parseDiff, RENAMES } from "./diff.ts";
import { type Opened, ownHead } from "./stage.ts";

/** More commits than one run ever makes. */
const MAX_COMMITS = 1_000;

/** The newest of our commits that carries the trailer. Others' commits on the branch are no answer: they may lie. */
export async function findCommit(
  opened: Opened,
  trailer: { readonly key: string; readonly value: string },
): Promise<CommitInfo | null> {
  checkTrailer(trailer.key, trailer.value);
  const { git, signal } = opened.context;
  const call = { scope: opened.scope, signal };
  const { state } = opened;
  const head = await ownHead(opened);
  const format = `--format=%H%x01%(trailers:key=${trailer.key},valueonly,unfold,separator=%x02)`;
  const range = `${state.baseCommit}..${head.commit}`;
  const { text } = await git.run(["log", "-z", `--max-count=${MAX_COMMITS}`, format, range, "--"], call);
  for (const entry of text.split("\0")) {
    const [commit = "", values = ""] = entry.trim().split("\x01");
    if (!values.split("\x02").some((value) => value.trim() === trailer.value)) continue;
    const diff = await git.run(["diff-tree", ...LIST_FLAGS, ...RENAMES, `${commit}^`, commit], call);
    const keptOut = commit === head.commit ? head.keptOut : [];
    return { commit, branch: state.branch, files: parseDiff(diff.text).map(changedFile), keptOut };
  }
  return null;
}
