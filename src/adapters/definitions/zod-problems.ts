import type { z } from "zod";
import { clip } from "../../base/text.ts";
import type { Path, Problem } from "./report.ts";

type Issue = z.core.$ZodIssue;

const SHOWN_VALUE = 60;

/** What the schema found, as problems at the narrowest place. */
export function zodProblems(error: z.ZodError, value: unknown, schema: z.ZodType): readonly Problem[] {
  return error.issues.flatMap((issue) => problemsOf(issue, { value, schema, prefix: [] }));
}

interface In {
  readonly value: unknown;
  readonly schema: z.ZodType;
  readonly prefix: Path;
}

function problemsOf(issue: Issue, in_: In): readonly Problem[] {
  const path = [...in_.prefix, ...issue.path.map((key) => (typeof key === "number" ? key : String(key)))];
  const written = valueAt(in_.value, path);
  if (issue.code === "unrecognized_keys") {
    const candidates = keysAt(in_.schema, path);
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `there is no field \`${key}\` here`,
      expected: `one of ${candidates.join(", ")}`,
      name: key,
      candidates,
      atKey: true,
    }));
  }
  if (issue.code === "invalid_union") {
    const branch = issue.errors.find(
      (issues) => !issues.some((inner) => inner.path.length === 0 && isTypeOf(inner)),
    );
    if (branch !== undefined && branch.length > 0) {
      return branch.flatMap((inner) => problemsOf(inner, { ...in_, prefix: path }));
    }
  }
  const field = path.at(-1);
  if (written === undefined) {
    return [{ path, message: `\`${String(field)}\` is missing`, expected: issue.message }];
  }
  const values = issue.code === "invalid_value" ? issue.values.map(String) : undefined;
  const named = values !== undefined && typeof written === "string";
  return [
    {
      path,
      message: `${show(written)} is not valid here`,
      expected: issue.message,
      ...(named ? { name: written, candidates: values } : {}),
    },
  ];
}

function isTypeOf(issue: Issue): boolean {
  return issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
}

export function show(value: unknown): string {
  const text = clip(JSON.stringify(value) ?? "nothing", SHOWN_VALUE).text.replaceAll("\n", " ");
  if (value === null) return "an empty value";
  return `\`${text}\``;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path)
    at = typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined;
  return at;
}

interface Def {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
}

/** Names of the fields that the schema knows at a path. */
function keysAt(schema: z.ZodType, path: Path): readonly string[] {
  const def = schema.def as unknown as Def;
  const [key, ...rest] = path;
  switch (def.type) {
    case "optional":
      return def.innerType === undefined ? [] : keysAt(def.innerType, path);
    case "union":
      return (def.options ?? []).flatMap((option) => keysAt(option, path));
    case "array":
      return def.element === undefined || key === undefined ? [] : keysAt(def.element, rest);
    case "object": {
      if (key === undefined) return Object.keys(def.shape ?? {});
      const member = def.shape?.[String(key)];
      return member === undefined ? [] : keysAt(member, rest);
    }
    default:
      return [];
  }
}
