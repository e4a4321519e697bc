import { join } from "node:path";
import type { Finding } from "../../contracts/gates.ts";

/** Of `go test`: places that wait for their package's name. */
const GO_PLACES = 200;

export type Level = "error" | "warning";

/** Something a tool has begun to report: its place or its words come in a later line. */
interface Pending {
  readonly from: "rust" | "ruff" | "panic" | "biome" | "block" | "tap" | "python" | "node";
  message: string;
  rule: string | null;
  path?: string;
  line?: number | null;
  level: Level;
}

export interface Scan {
  /** Path relative to the workspace, `null` when it is none of its files. */
  readonly fileOf: (written: string) => string | null;
  readonly emit: (finding: Finding, level?: Level) => void;
  pending: Pending | null;
  /** The file whose messages follow, as eslint prints them. */
  header: string | null;
  /** The last line that pytest marked as the error. */
  lastError: string;
  /** Of `go test`: places without their folder, until the package is named. */
  goTest: string | null;
  goPlaces: { file: string; line: number; message: string; rule: string | null }[];
}

/** Takes the line when it is one of its tool's; the first that does ends the search. */
type Reader = (line: string, scan: Scan) => boolean;

function level(word: string | undefined): Level {
  return word !== undefined && /^(?:warn|warning)$/i.test(word) ? "warning" : "error";
}

const readTsc: Reader = (line, { fileOf, emit }) => {
  const m = /^(.+?)(?:\((\d+),\d+\):|:(\d+):\d+ -) (error|warning) (TS\d+): (.*)$/.exec(line);
  const path = m === null ? null : fileOf(m[1] ?? "");
  if (m === null || path === null) return false;
  emit({ path, line: Number(m[2] ?? m[3]), message: m[6] ?? "", rule: m[5] ?? null }, level(m[4]));
  return true;
};

/** eslint's usual form: the file's name alone, then its messages indented. */
const readEslint: Reader = (line, scan) => {
  const m = /^\s+(\d+):\d+\s+(error|warning|warn)\s+(.+?)(?:\s{2,}(\S+))?\s*$/.exec(line);
  if (m !== null && scan.header !== null) {
    scan.emit(
      { path: scan.header, line: Number(m[1]), message: m[3] ?? "", rule: m[4] ?? null },
      level(m[2]),
    );
    return true;
  }
  if (/^\S.*\.\w+$/.test(line)) scan.header = scan.fileOf(line);
  return false;
};

const readBiome: Reader = (line, scan) => {
  const m = /^(\S.*?)(?::(\d+):\d+)? ([a-z]\w*(?:\/\w+)*)(?:\s+[A-Z]+)*\s+━{3,}/.exec(line);
  const path = m === null ? null : scan.fileOf(m[1] ?? "");
  if (m !== null && path !== null) {
    const at = m[2] === undefined ? null : Number(m[2]);
    scan.pending = { from: "biome", message: "", rule: m[3] ?? null, path, line: at, level: "error" };
    return true;
  }
  const words = /^\s+([×✖!i])\s+(.+)$/.exec(line);
  const { pending } = scan;
  if (words === null || pending?.from !== "biome" || pending.path === undefined) return false;
  const { line: at, rule } = pending;
  const mild = words[1] === "!" || words[1] === "i";
  scan.emit(
    { path: pending.path, line: at ?? null, message: words[2] ?? "", rule },
    mild ? "warning" : "error",
  );
  scan.pending = null;
  return true;
};

/** rustc and Ruff: what is wrong, then `--> where`. */
const readArrow: Reader = (line, scan) => {
  const rust = /^(error|warning)(?:\[(\w+)\])?: (.+)$/.exec(line);
  if (rust !== null) {
    scan.pending = { from: "rust", message: rust[3] ?? "", rule: rust[2] ?? null, level: level(rust[1]) };
    return true;
  }
  const ruff = /^([A-Z]{1,6}\d{2,4}|invalid-syntax:) (?:\[\*\] )?(.+)$/.exec(line);
  if (ruff !== null) {
    scan.pending = { from: "ruff", message: ruff[2] ?? "", rule: ruff[1] ?? null, level: "error" };
    return true;
  }
  const arrow = /^\s*-->\s(.+?):(\d+):\d+$/.exec(line);
  const { pending } = scan;
  if (arrow === null || (pending?.from !== "rust" && pending?.from !== "ruff")) return false;
  const path = scan.fileOf(arrow[1] ?? "");
  if (path !== null) {
    scan.emit({ path, line: Number(arrow[2]), message: pending.message, rule: pending.rule }, pending.level);
  }
  scan.pending = null;
  return true;
};

const readPanic: Reader = (line, scan) => {
  const old = /panicked at '(.*)', (.+?):(\d+):\d+$/.exec(line);
  const m = /^thread '(.*)'.* panicked at (.+?):(\d+):\d+:$/.exec(line);
  const path = scan.fileOf(old?.[2] ?? m?.[2] ?? "");
  if (old !== null && path !== null) {
    scan.emit({ path, line: Number(old[3]), message: old[1] ?? "", rule: null });
    return true;
  }
  if (m !== null && path !== null) {
    scan.pending = {
      from: "panic",
      message: "",
      rule: m[1] ?? null,
      path,
      line: Number(m[3]),
      level: "error",
    };
    return true;
  }
  const { pending } = scan;
  if (pending?.from !== "panic" || pending.path === undefined || line.trim() === "") return false;
  scan.emit({ path: pending.path, line: pending.line ?? null, message: line, rule: pending.rule });
  scan.pending = null;
  return true;
};

/** pytest: `E   why`, then `path:line: Kind`; and one line a failed test at the end. */
const readPytest: Reader = (line, scan) => {
  const why = /^E\s{3,}(.+)$/.exec(line);
  if (why !== null) {
    if (scan.lastError === "") scan.lastError = why[1] ?? "";
    return true;
  }
  const place = /^(\S+\.py):(\d+): (\w*(?:Error|Exception|Failed|Exit|Interrupt)\b.*)$/.exec(line);
  if (place !== null) {
    const path = scan.fileOf(place[1] ?? "");
    const message = scan.lastError === "" ? (place[3] ?? "") : scan.lastError;
    if (path !== null) scan.emit({ path, line: Number(place[2]), message, rule: null });
    scan.lastError = "";
    return true;
  }
  const end = /^(?:FAILED|ERROR) (\S+?\.py)(?:::(\S+))?(?: - (.*))?$/.exec(line);
  const path = end === null ? null : scan.fileOf(end[1] ?? "");
  if (end === null || path === null) return false;
  scan.emit({ path, line: null, message: end[3] ?? "failed", rule: end[2] ?? null });
  return true;
};

/** A Python traceback: the deepest frame inside the workspace, then the exception. */
const readTraceback: Reader = (line, scan) => {
  const frame = /^\s*File "(.+?)", line (\d+)/.exec(line);
  if (frame !== null) {
    const path = scan.fileOf(frame[1] ?? "");
    if (path !== null) {
      scan.pending = {
        from: "python",
        message: "",
        rule: null,
        path,
        line: Number(frame[2]),
        level: "error",
      };
    }
    return true;
  }
  const { pending } = scan;
  const raised = /^([A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt|Failure))(?:: (.*))?$/.exec(
    line,
  );
  if (raised === null || pending?.from !== "python" || pending.path === undefined) return false;
  scan.emit({ path: pending.path, line: pending.line ?? null, message: line, rule: raised[1] ?? null });
  scan.pending = null;
  return true;
};

/** TAP as node:test writes it: `not ok`, then a block with `location` and `error`. */
const readTap: Reader = (line, scan) => {
  const failed = /^\s*not ok \d+(?: - (.*?))?(?: # (?:TODO|SKIP).*)?$/.exec(line);
  if (failed !== null) {
    scan.pending = { from: "tap", message: "", rule: failed[1] ?? null, level: "error" };
    return true;
  }
  const { pending } = scan;
  if (pending?.from !== "tap") return false;
  const location = /^\s+location:\s*['"]?(.+?):(\d+):\d+['"]?$/.exec(line);
  const error = /^\s+error:\s*(.+?)\s*$/.exec(line);
  const path = location === null ? null : scan.fileOf(location[1] ?? "");
  if (location !== null && path !== null) {
    pending.path = path;
    pending.line = Number(location[2]);
  } else if (error !== null) {
    pending.message = /^[|>][-+]?$/.test(error[1] ?? "")
      ? ""
      : (error[1] ?? "").replace(/^(['"])(.*)\1$/, "$2");
    if (pending.message === "") pending.message = "\n";
  } else if (pending.message === "\n" && line.trim() !== "") {
    pending.message = line.trim();
  } else if (/failureType:\s*'?subtestsFailed/.test(line)) {
    scan.pending = null;
  } else if (/^\s+\.\.\.$/.test(line)) {
    const { path: at, message, rule } = pending;
    if (at !== undefined)
      scan.emit({ path: at, line: pending.line ?? null, message: message.trim() || "failed", rule });
    scan.pending = null;
  }
  return true;
};

/** node:test's usual form: `test at place`, the test's name, then why. */
const readNodeTest: Reader = (line, scan) => {
  const at = /^\s*test at (.+?):(\d+):\d+$/.exec(line);
  const path = at === null ? null : scan.fileOf(at[1] ?? "");
  if (at !== null && path !== null) {
    scan.pending = { from: "node", message: "", rule: null, path, line: Number(at[2]), level: "error" };
    return true;
  }
  const { pending } = scan;
  if (pending?.from !== "node" || pending.path === undefined || line.trim() === "") return false;
  const name = /^\s*✖ (.*?)(?: \([\d.]+ms\))?$/.exec(line);
  if (name !== null && pending.rule === null) {
    pending.rule = name[1] ?? null;
    return true;
  }
  const rule = pending.rule;
  scan.emit({ path: pending.path, line: pending.line ?? null, message: line, rule });
  scan.pending = null;
  return true;
};

/** Vitest (` FAIL  file > test`, `❯ place`) and Jest (`● test`, `at … (place)`): name, why, then where. */
const readBlock: Reader = (line, scan) => {
  const vitest = /^\s*FAIL\s+(?:\|[^|]*\|\s+)?(\S+\.\w+)(?: > (.+))?$/.exec(line);
  const jest = /^\s{0,2}● (.+)$/.exec(line);
  if (vitest !== null || jest !== null) {
    const path = vitest === null ? null : scan.fileOf(vitest[1] ?? "");
    const rule = vitest?.[2] ?? jest?.[1] ?? null;
    scan.pending = { from: "block", message: "", rule, level: "error", ...(path === null ? {} : { path }) };
    return true;
  }
  const { pending } = scan;
  if (pending?.from !== "block") return false;
  const place = /^\s*(?:❯ (?:.* )?|at (?:.*\()?)([^\s()]+?):(\d+):\d+\)?$/.exec(line);
  if (place === null) {
    if (pending.message === "" && line.trim() !== "") pending.message = line.trim();
    return pending.message === line.trim();
  }
  const path = scan.fileOf(place[1] ?? "");
  if (path === null) return true;
  scan.emit({ path, line: Number(place[2]), message: pending.message || "failed", rule: pending.rule });
  scan.pending = null;
  return true;
};

const readGo: Reader = (line, scan) => {
  const test = /^\s*--- FAIL: (\S+)/.exec(line);
  if (test !== null) {
    scan.goTest = test[1] ?? null;
    return true;
  }
  const place = /^\s{4,}([\w.-]+\.go):(\d+): (.*)$/.exec(line);
  if (place !== null && scan.goTest !== null) {
    const [, file = "", at, message = ""] = place;
    if (scan.goPlaces.length < GO_PLACES) {
      scan.goPlaces.push({ file, line: Number(at), message, rule: scan.goTest });
    }
    return true;
  }
  const ended = /^(?:FAIL|ok)\s+(\S+)/.exec(line);
  if (ended === null || scan.goPlaces.length === 0) return false;
  settleGo(scan, ended[1] ?? "");
  return true;
};

/** The package's name ends with its folder; how much of it is the module's own name, only the files tell. */
export function settleGo(scan: Scan, name: string): void {
  const parts = name.split("/");
  for (const { file, line, message, rule } of scan.goPlaces) {
    const candidates = parts.map((_, i) => join(...parts.slice(i), file));
    const path = [...candidates, file].map(scan.fileOf).find((found) => found !== null);
    if (path !== undefined && path !== null) scan.emit({ path, line, message, rule });
  }
  scan.goPlaces = [];
  scan.goTest = null;
}

/** `path:line:col: message` and its relatives: mypy, Ruff's short form, go, gcc, eslint's unix form, and many more. */
const readGeneric: Reader = (line, { fileOf, emit }) => {
  const m =
    /^(?:vet: )?\s*([^\s:](?:[^:]|:\\)*?):(?:(\d+)(?::(\d+))?:?| line (\d+), col \d+,) (?:- )?(?:(error|warning|note|info|fatal error)(?::| -) )?(.+)$/i.exec(
      line,
    );
  if (m === null) return false;
  const path = fileOf(m[1] ?? "");
  if (path === null) return false;
  if (/^(?:note|info)$/i.test(m[5] ?? "")) return true;
  let message = m[6] ?? "";
  let rule: string | null = null;
  const code = /^([A-Z]{1,6}\d{2,5}):? (?:\[\*\] )?(.+)$/.exec(message);
  const tail = /^(.+?)\s+[[(](?:Error\/|Warning\/)?([a-z@][\w@/.-]+)[\])]$/.exec(message);
  if (code !== null) [, rule = null, message = ""] = code;
  else if (tail !== null) [, message = "", rule = null] = tail;
  emit({ path, line: Number(m[2] ?? m[4]), message, rule }, level(m[5]));
  return true;
};

/** The more particular first. */
export const READERS: readonly Reader[] = [
  readTsc,
  readTap,
  readNodeTest,
  readPanic,
  readBiome,
  readArrow,
  readPytest,
  readTraceback,
  readBlock,
  readGo,
  readEslint,
  readGeneric,
];
