import { existsSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import type { Finding } from "../../contracts/gates.ts";
import { type Level, READERS, type Scan, settleGo } from "./finding-readers.ts";

export const FINDING_LIMITS = {
  findings: 200,
  messageChars: 500,
  lineChars: 2_000,
  lines: 50_000,
  /** Names that are looked up on disk: what is no file of the workspace is no finding. */
  lookups: 5_000,
} as const;

/**
 * Places and messages in what a gate printed: eslint, Biome, tsc, Ruff, mypy, pytest, unittest, node:test (spec and
 * TAP), Vitest, Jest, go, rustc and cargo, and whatever writes `path:line:col: message`. Errors before warnings;
 * bounded; paths relative to `root`.
 */
export function parseFindings(
  output: string,
  { root, cwd }: { readonly root: string; readonly cwd: string },
): readonly Finding[] {
  const found: { finding: Finding; level: Level }[] = [];
  const seen = new Set<string>();
  const scan: Scan = {
    fileOf: fileFinder(root, cwd),
    emit: (finding, level = "error") => {
      const message = finding.message.trim().slice(0, FINDING_LIMITS.messageChars);
      const key = `${finding.path}:${finding.line}:${message}`;
      if (message === "" || seen.has(key) || found.length >= FINDING_LIMITS.findings * 4) return;
      seen.add(key);
      found.push({ finding: { ...finding, message }, level });
    },
    pending: null,
    header: null,
    lastError: "",
    goTest: null,
    goPlaces: [],
  };
  for (const line of stripVTControlCharacters(output).split(/\r?\n/, FINDING_LIMITS.lines)) {
    const short = line.slice(0, FINDING_LIMITS.lineChars);
    READERS.some((read) => read(short, scan));
  }
  settleGo(scan, "");
  const errors = found.filter(({ level }) => level === "error");
  const warnings = found.filter(({ level }) => level === "warning");
  return [...errors, ...warnings].slice(0, FINDING_LIMITS.findings).map(({ finding }) => finding);
}

function fileFinder(root: string, cwd: string): Scan["fileOf"] {
  const known = new Map<string, string | null>();
  const lookUp = (written: string): string | null => {
    const plain = /^file:\/\//.test(written) ? urlPath(written) : written.trim();
    if (plain === "" || plain.length > 500 || plain.includes("\0")) return null;
    for (const base of isAbsolute(plain) ? [""] : [cwd, root]) {
      const path = resolve(base, plain);
      const way = relative(root, path);
      if (way === "" || way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way)) continue;
      if (existsSync(path)) return way.split(sep).join("/");
    }
    return null;
  };
  return (written) => {
    const before = known.get(written);
    if (before !== undefined) return before;
    if (known.size >= FINDING_LIMITS.lookups) return null;
    const path = lookUp(written);
    const isOurs =
      path !== null &&
      !/(?:^|\/)(?:node_modules|\.git|site-packages|\.venv|target\/debug)\//.test(`${path}/`);
    known.set(written, isOurs ? path : null);
    return isOurs ? path : null;
  };
}

function urlPath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return "";
  }
}
