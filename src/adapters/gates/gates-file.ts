import { posix, win32 } from "node:path";
import { isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import { z } from "zod";
import { parseDuration } from "../../base/duration.ts";
import { nearest } from "../../base/text.ts";
import type { GateSpec } from "../../contracts/gates.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";

export const GATES_FILE = ".agent-runner/gates.yaml";

export const GATE_LIMITS = {
  fileBytes: 262_144,
  gates: 32,
  commandChars: 8_192,
  arguments: 256,
  timeoutMs: 21_600_000,
} as const;

/** More mistakes than anybody corrects at once. */
const ISSUES_TOLD = 10;
const ALIASES = 20;

const text = (what: string) =>
  z
    .string({ error: `${what} is text` })
    .max(GATE_LIMITS.commandChars, `${what} has more than ${GATE_LIMITS.commandChars} characters`)
    .regex(/\S/, `${what} is empty`);

const gate = z.strictObject({
  name: z
    .string({ error: "a gate has a name" })
    .regex(
      /^[a-z0-9][a-z0-9_-]{0,39}$/,
      "a name has 1 to 40 of a-z, 0-9, - and _, and begins with a letter or digit",
    )
    .describe("Unique in the file: lint, types, test, …"),
  run: z
    .union(
      [
        text("run"),
        z
          .array(text("an argument"))
          .min(1, "the list is empty: it begins with the program")
          .max(GATE_LIMITS.arguments, `the list has more than ${GATE_LIMITS.arguments} items`),
      ],
      {
        error: "run is one line for the shell, or a list: the program and its arguments",
      },
    )
    .describe(
      "A line for the system's shell, or a list of the program and its arguments, run without a shell.",
    ),
  workdir: text("workdir")
    .default(".")
    .describe("The folder to run in, relative to the repository, with forward slashes."),
  timeout: z
    .string({ error: 'timeout is a duration like "90s" or "10m"' })
    .regex(/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/, 'timeout is a duration like "90s" or "10m"')
    .optional()
    .describe("A duration like 90s, 10m or 1h30m; 10m when absent."),
  required: z
    .boolean({ error: "required is true or false" })
    .default(true)
    .describe("A gate that is not required is reported and does not fail the verdict."),
});

const gatesFile = z.strictObject(
  {
    gates: z
      .array(gate, { error: "gates is a list" })
      .max(GATE_LIMITS.gates, `there are more than ${GATE_LIMITS.gates} gates`),
  },
  { error: "the file is a map with the key `gates`" },
);

/** JSON Schema of `.agent-runner/gates.yaml`, for editors and for `schemas/`. */
export function gatesSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(gatesFile, { io: "input" }), title: "agent-runner gates" };
}

interface Issue {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Of a key that should not be there. */
  readonly key?: string;
}

/** The gates of a file, or `invalid_gates` with every mistake's line and column. */
export function parseGatesFile(source: string): Result<readonly GateSpec[]> {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, maxAliasCount: ALIASES } as object);
  const broken = document.errors.slice(0, ISSUES_TOLD).map((error) => ({
    ...position(lines, error.pos[0]),
    path: "",
    message: error.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? "not YAML",
  }));
  if (broken.length > 0) return refused(broken);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: ALIASES });
  } catch (error) {
    return refused([
      { line: 1, column: 1, path: "", message: error instanceof Error ? error.message : String(error) },
    ]);
  }
  const parsed = gatesFile.safeParse(value);
  const issues = parsed.success ? further(parsed.data.gates) : parsed.error.issues.flatMap(issuesOf);
  const placed = issues.slice(0, ISSUES_TOLD).map((issue) => ({
    ...place(document.contents, issue, lines),
    path: nameOf(issue.path),
    message: issue.message,
  }));
  if (!parsed.success || placed.length > 0) return refused(placed);
  return ok(parsed.data.gates.map(specOf));
}

function specOf(written: z.infer<typeof gate>): GateSpec {
  const { name, run, workdir, timeout, required } = written;
  const [program = "", ...args] = typeof run === "string" ? [] : run;
  return {
    name,
    run: typeof run === "string" ? { shell: run } : { program, args },
    workdir: posix.normalize(workdir).replace(/(?<=.)\/$/, ""),
    timeoutMs: timeout === undefined ? LIMITS.commandTimeoutMs : (parseDuration(timeout) ?? 0),
    required,
    origin: "configured",
  };
}

/** What the schema cannot say. */
function further(gates: readonly z.infer<typeof gate>[]): Issue[] {
  const issues: Issue[] = [];
  for (const [i, { name, run, workdir, timeout }] of gates.entries()) {
    const first = gates.findIndex((other) => other.name === name);
    if (first < i)
      issues.push({
        path: ["gates", i, "name"],
        message: `"${name}" is the name of gates[${first}] already`,
      });
    const leaves = posix.normalize(workdir).split("/").includes("..");
    if (leaves || workdir.includes("\\") || posix.isAbsolute(workdir) || win32.isAbsolute(workdir)) {
      issues.push({
        path: ["gates", i, "workdir"],
        message: `"${workdir}" is not a folder inside the repository, written with forward slashes`,
      });
    }
    if ([run].flat().some((part) => part.includes("\0"))) {
      issues.push({ path: ["gates", i, "run"], message: "run holds a NUL character" });
    }
    const ms = timeout === undefined ? LIMITS.commandTimeoutMs : (parseDuration(timeout) ?? 0);
    if (ms <= 0 || ms > GATE_LIMITS.timeoutMs) {
      issues.push({
        path: ["gates", i, "timeout"],
        message: `"${timeout}" is not between 1ms and ${GATE_LIMITS.timeoutMs / 3_600_000}h`,
      });
    }
  }
  return issues;
}

function issuesOf(issue: z.core.$ZodIssue): Issue[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  const known = path.length === 0 ? Object.keys(gatesFile.shape) : Object.keys(gate.shape);
  return issue.keys.map((key) => {
    const meant = nearest(key, known);
    const hint = meant === null ? `the keys are ${known.join(", ")}` : `did you mean "${meant}"?`;
    return { path: [...path, key], key, message: `unknown key "${key}"; ${hint}` };
  });
}

/** Where the mistake is written; of something that is missing, where it should stand. */
function place(root: unknown, issue: Issue, lines: LineCounter): { line: number; column: number } {
  let node = root;
  for (const part of issue.path) {
    const next = childOf(node, part, part === issue.key);
    if (next === null) break;
    node = next;
  }
  return position(lines, (node as Node | null)?.range?.[0] ?? 0);
}

function childOf(node: unknown, part: string | number, wantsKey: boolean): unknown {
  if (!isMap(node)) {
    const items = (node as { items?: readonly unknown[] } | null)?.items;
    return typeof part === "number" ? (items?.[part] ?? null) : null;
  }
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
  return (wantsKey ? pair?.key : pair?.value) ?? null;
}

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function nameOf(path: readonly (string | number)[]): string {
  return path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${part}`))
    .join("");
}

function refused<T>(
  issues: readonly { line: number; column: number; path: string; message: string }[],
): Result<T> {
  const told = issues.map(({ line, column, path, message }) => {
    return `${GATES_FILE}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
  });
  return fail("invalid_gates", told.join("\n"), { issues: issues.map((issue) => ({ ...issue })) });
}
