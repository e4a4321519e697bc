import { type Document, isNode, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { fail, ok, type Result } from "../../../domain/errors.ts";
import { SCRIPT_LIMITS, type Script, scriptSchema } from "./schema.ts";

const MAX_ISSUES_SHOWN = 5;
const MAX_ALIASES = 100;

/** Reads one script. Fails with `invalid_script`, naming file, line and column of every mistake (the first five). */
export function parseScript(source: string, file: string): Result<Script> {
  if (Buffer.byteLength(source) > SCRIPT_LIMITS.bytes) {
    return fail("invalid_script", `${file}: is larger than ${SCRIPT_LIMITS.bytes} bytes`);
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    return fail("invalid_script", `${file}:${place(lines, broken.pos[0])}: ${broken.message}`);
  }
  const plain = toPlain(document);
  if (!plain.ok) return fail("invalid_script", `${file}:1:1: ${plain.failure.message}`);
  const parsed = scriptSchema.safeParse(plain.value);
  if (parsed.success) return ok(parsed.data);
  const messages = flatten(parsed.error.issues)
    .slice(0, MAX_ISSUES_SHOWN)
    .map((issue) => `${file}:${locate(document, lines, issue.path)}: ${describe(issue)}`);
  return fail("invalid_script", messages.join("\n"));
}

/** The library throws when aliases multiply without end. */
function toPlain(document: Document): Result<unknown> {
  try {
    return ok(document.toJS({ maxAliasCount: MAX_ALIASES }));
  } catch (error) {
    return fail("invalid_script", (error as Error).message);
  }
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** An issue of a union says only that no branch fitted; the branch that came furthest says what is wrong. */
function flatten(issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code !== "invalid_union") return [{ path, message: issue.message }];
    const branches = issue.errors.map((branch) => flatten(branch, path));
    const deepest = branches.toSorted((a, b) => depth(b) - depth(a))[0];
    return deepest === undefined || depth(deepest) <= path.length
      ? [{ path, message: issue.message }]
      : deepest;
  });
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function describe(issue: Issue): string {
  const field = issue.path.map(String).join(".");
  return field === "" ? issue.message : `\`${field}\` ${issue.message}`;
}

/** The place of the named value, or of the nearest thing around it that is in the file. */
function locate(document: Document, lines: LineCounter, path: readonly PropertyKey[]): string {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return place(lines, node.range[0]);
  }
  return "1:1";
}

function place(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${line}:${col}`;
}
