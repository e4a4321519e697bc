import { slug } from "../base/text.ts";

const ID_CHARS = 40;
const SLUG_CHARS = 48;
/** Below every file system's limit for one name, with room for a suffix and git's own `.lock`. */
const BRANCH_CHARS = 200;

/** `feature/task-{id}-{slug}`: what a run's branch is called unless its workflow says otherwise. */
export function taskBranch(task: { readonly id: string; readonly title: string }): string {
  return `feature/task-${slug(task.id, ID_CHARS)}-${slug(task.title, SLUG_CHARS)}`;
}

/**
 * Whether git takes the name for a branch (`git check-ref-format --branch`), every system can hold it
 * as a file, and no shell or command line can take it for something else. Plain ASCII only.
 */
export function isBranchName(name: string): boolean {
  if (name.length > BRANCH_CHARS || name === "HEAD" || name === "@") return false;
  if (!/^[A-Za-z0-9_.@+=,%#!()/-]+$/.test(name)) return false;
  if (name.startsWith("-") || name.endsWith(".") || name.includes("..")) return false;
  return name
    .split("/")
    .every((part) => part !== "" && !part.startsWith(".") && !part.toLowerCase().endsWith(".lock"));
}
