import { isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import { nearest } from "../../base/text.ts";
import {
  type AdmissionRules,
  type ClassRules,
  DEFAULT_RULES,
  type TenantRules,
} from "../../domain/admission-rules.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import {
  CLASS_NAME,
  knownKeys,
  LIMITS_FILE,
  limitsSchema,
  TENANT_NAME,
  type WrittenLimits,
  type WrittenTenant,
} from "./schema.ts";

type Path = readonly (string | number)[];

interface Issue {
  readonly path: Path;
  readonly message: string;
  /** Whether the key itself is meant, not its value. */
  readonly key?: boolean;
}

/** More mistakes than anybody corrects at once. */
const ISSUES_TOLD = 10;
const ALIASES = 20;

/** The rules of a limits file, or `invalid_limits` with every mistake's line and column. `file` is how it is called. */
export function parseLimits(source: string, file: string): Result<AdmissionRules> {
  const lines = new LineCounter();
  if (Buffer.byteLength(source) > LIMITS_FILE.bytes) {
    return refused(file, [
      { line: 1, column: 1, path: "", message: `the file has more than ${LIMITS_FILE.bytes} bytes` },
    ]);
  }
  const document = parseDocument(source, { lineCounter: lines });
  const broken = document.errors.slice(0, ISSUES_TOLD).map((error) => ({
    ...position(lines, error.pos[0]),
    path: "",
    message: error.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? "not YAML",
  }));
  if (broken.length > 0) return refused(file, broken);
  const read = valueOf(document);
  if (!read.ok) return refused(file, [{ line: 1, column: 1, path: "", message: read.message }]);
  // An empty file, or one of comments, changes nothing.
  const parsed = limitsSchema.safeParse(read.value ?? {});
  const issues = parsed.success ? further(parsed.data) : parsed.error.issues.flatMap(issuesOf);
  const placed = issues.slice(0, ISSUES_TOLD).map((issue) => ({
    ...place(document.contents, issue, lines),
    path: issue.path.join("."),
    message: issue.message,
  }));
  if (!parsed.success || placed.length > 0) return refused(file, placed);
  return ok(rulesOf(parsed.data));
}

function valueOf(
  document: ReturnType<typeof parseDocument>,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string } {
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: ALIASES }) };
  } catch (error) {
    // Aliases that grow without end, or name nothing.
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

function rulesOf(written: WrittenLimits): AdmissionRules {
  const any = tenantOf(written.default ?? {}, DEFAULT_RULES.anyTenant);
  const { share, floor } = DEFAULT_RULES.retryBudget;
  const { retry_budget: retries } = written;
  const tenants = Object.entries(written.tenants ?? {});
  return {
    classes: classesOf(written),
    defaultClass: written.default_class ?? DEFAULT_RULES.defaultClass,
    maxQueued: written.queue?.max_queued ?? DEFAULT_RULES.maxQueued,
    anyTenant: any,
    tenants: new Map(tenants.map(([name, own]) => [name, tenantOf(own, any)])),
    retryBudget: { share: retries?.share ?? share, floor: retries?.floor ?? floor },
  };
}

function classesOf({ classes }: WrittenLimits): readonly ClassRules[] {
  if (classes === undefined) return DEFAULT_RULES.classes;
  return Object.entries(classes)
    .map(([name, { priority, start_by = null, deadline = null, target = null }]) => {
      return { name, priority, startByMs: start_by, deadlineMs: deadline, targetMs: target };
    })
    .sort((a, b) => a.priority - b.priority);
}

/** What a tenant does not say is as for every tenant; `null` takes a bound away. */
function tenantOf(own: WrittenTenant, any: TenantRules): TenantRules {
  const or = <T>(given: T | undefined, otherwise: T): T => (given === undefined ? otherwise : given);
  return {
    weight: or(own.weight, any.weight),
    maxQueued: or(own.max_queued, any.maxQueued),
    maxRunning: or(own.max_running, any.maxRunning),
    rate: or(own.rate, any.rate),
    principalRate: or(own.principal_rate, any.principalRate),
  };
}

/** What the schema cannot say. */
function further(written: WrittenLimits): Issue[] {
  const issues: Issue[] = [];
  const classes = Object.entries(written.classes ?? {});
  const names = classesOf(written).map(({ name }) => name);
  if (written.classes !== undefined && classes.length === 0)
    issues.push({
      path: ["classes"],
      message: "there is no class; name at least one, or leave `classes` out",
    });
  for (const [name, { priority }] of classes) {
    if (!CLASS_NAME.test(name))
      issues.push({
        path: ["classes", name],
        key: true,
        message: nameRule("class", name, "a-z, 0-9, - and _"),
      });
    const first = classes.find((other) => other[1].priority === priority)?.[0];
    if (first !== undefined && first !== name) {
      const message = `${priority} is the priority of class "${first}" already; give each its own`;
      issues.push({ path: ["classes", name, "priority"], message });
    }
  }
  const wanted = written.default_class ?? DEFAULT_RULES.defaultClass;
  if (names.length > 0 && !names.includes(wanted)) {
    const message = `is "${wanted}", which is not a class; expected one of ${names.join(", ")}`;
    issues.push({
      path: written.default_class === undefined ? ["classes"] : ["default_class"],
      message: `default_class ${message}`,
    });
  }
  const tenants = Object.keys(written.tenants ?? {});
  if (tenants.length > LIMITS_FILE.tenants)
    issues.push({ path: ["tenants"], message: `there are more than ${LIMITS_FILE.tenants} tenants` });
  for (const name of tenants) {
    if (!TENANT_NAME.test(name))
      issues.push({
        path: ["tenants", name],
        key: true,
        message: nameRule("tenant", name, "letters, digits, _ . @ : and -"),
      });
  }
  return issues;
}

function nameRule(what: string, name: string, of: string): string {
  return `${JSON.stringify(name.slice(0, 60))} is no name of a ${what}; it is made of ${of}, and begins with a letter${what === "class" ? "" : " or digit"}`;
}

function issuesOf(issue: z.core.$ZodIssue): Issue[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  const known = knownKeys(path);
  return issue.keys.map((key) => {
    const meant = nearest(key, known);
    const hint = meant === null ? `the keys are ${known.join(", ")}` : `did you mean "${meant}"?`;
    return { path: [...path, key], key: true, message: `unknown key "${key}"; ${hint}` };
  });
}

/** Where the mistake is written; of something that is missing, where it should stand. */
function place(root: unknown, issue: Issue, lines: LineCounter): { line: number; column: number } {
  let node = root;
  for (const [i, part] of issue.path.entries()) {
    const wantsKey = issue.key === true && i === issue.path.length - 1;
    const pair = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
      : undefined;
    const next = wantsKey ? pair?.key : pair?.value;
    if (next === undefined || next === null) break;
    node = next;
  }
  return position(lines, (node as Node | null)?.range?.[0] ?? 0);
}

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function refused<T>(
  file: string,
  issues: readonly { line: number; column: number; path: string; message: string }[],
): Result<T> {
  const told = issues.map(({ line, column, path, message }) => {
    return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
  });
  return fail("invalid_limits", told.join("\n"), { issues: issues.map((issue) => ({ ...issue })) });
}
