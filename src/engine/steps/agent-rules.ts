import { readFile, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { clip } from "../../base/text.ts";
import { confined } from "./confined.ts";

/** In order of preference: the first that a folder has is its rules. */
const RULE_FILES = ["AGENTS.md", "CLAUDE.md", "GEMINI.md"];
const MAX_RULE_FILE_BYTES = 262_144;
const MAX_RULE_CHARS = 24_000;
const MAX_RULES_CHARS = 48_000;
const MAX_HINTED_PATHS = 50;

export interface Rules {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Characters left out of the middle. */
  readonly elided: number;
}

/**
 * The rules that the repository has for agents: those of its root, then the nearest above each hinted path.
 * Later ones are nearer to the work and win. Files outside the root (by links) are not read.
 */
export async function readRules(root: string, hintedPaths: readonly string[]): Promise<readonly Rules[]> {
  const found = new Map<string, Rules>();
  let left = MAX_RULES_CHARS;
  const take = async (folder: string): Promise<boolean> => {
    const rules = await rulesOf(root, folder, Math.min(left, MAX_RULE_CHARS));
    if (rules === null) return false;
    if (!found.has(rules.path)) {
      found.set(rules.path, rules);
      left = Math.max(0, left - rules.text.length);
    }
    return true;
  };
  await take("");
  for (const hint of hintedPaths.slice(0, MAX_HINTED_PATHS)) {
    for (let folder = folderOf(hint); folder !== ""; folder = parentOf(folder)) {
      if (await take(folder)) break;
    }
  }
  return [...found.values()];
}

async function rulesOf(root: string, folder: string, maxChars: number): Promise<Rules | null> {
  for (const name of RULE_FILES) {
    const shown = folder === "" ? name : `${folder}/${name}`;
    const path = await confined(root, shown);
    if (!path.ok) continue;
    const info = await stat(path.value).catch(() => null);
    if (!info?.isFile()) continue;
    if (info.size > MAX_RULE_FILE_BYTES) {
      return { path: shown, text: `[${info.size} bytes: too large to be read]`, elided: info.size };
    }
    const text = await readFile(path.value, "utf8").catch(() => null);
    if (text === null) continue;
    return { path: shown, ...clip(text, maxChars) };
  }
  return null;
}

/** `src/api/*.ts` → `src/api`; what leads out of the root → "". */
function folderOf(hint: string): string {
  const parts = hint.replaceAll("\\", "/").replace(/^\.\//, "").split("/");
  const glob = parts.findIndex((part) => /[*?[{]/.test(part));
  const plain = glob < 0 ? parts : parts.slice(0, glob);
  if (hint.startsWith("/") || plain.includes("..")) return "";
  // A hinted file stands for its folder; a hinted folder is looked into as well.
  return join(...plain, ".")
    .split(sep)
    .join("/")
    .replace(/\/$/, "")
    .replace(/^\.$/, "");
}

function parentOf(folder: string): string {
  const parent = dirname(folder).split(sep).join("/");
  return parent === "." ? "" : parent;
}
