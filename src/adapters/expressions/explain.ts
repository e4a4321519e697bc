import type { ASTNode } from "@marcbachmann/cel-js";
import { TypeError as CelTypeError, EvaluationError, ParseError } from "@marcbachmann/cel-js";
import { isJsonObject, type Json } from "../../base/json.ts";
import { clip, nearest } from "../../base/text.ts";
import type { Scope } from "../../domain/workflow.ts";
import { chainOf } from "./references.ts";
import { VARIABLES, variable } from "./scope.ts";

const SHOWN_KEYS = 12;
const MESSAGE_CHARS = 500;

/** What went wrong in words for the author of the workflow, and where in the expression. */
export function explain(
  error: unknown,
  context: { readonly functions: readonly string[]; readonly scope?: Scope },
): { readonly message: string; readonly offset: number } {
  if (!(error instanceof ParseError || error instanceof EvaluationError || error instanceof CelTypeError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { message: clip(message, MESSAGE_CHARS).text, offset: 0 };
  }
  const node = isNode(error.node) ? error.node : null;
  const message = worded(error.code, node, context) ?? plain(error.summary);
  return { message: clip(message, MESSAGE_CHARS).text, offset: error.range?.start ?? 0 };
}

function isNode(node: unknown): node is ASTNode {
  return typeof node === "object" && node !== null && "op" in node;
}

function worded(
  code: string,
  node: ASTNode | null,
  context: { readonly functions: readonly string[]; readonly scope?: Scope },
): string | null {
  if (code === "unknown_variable" && node?.op === "id") return unknownVariable(node.args);
  if (code === "no_such_key" && node !== null) return missingKey(node, context.scope);
  if (code === "no_matching_overload" && (node?.op === "call" || node?.op === "rcall")) {
    const name = node.args[0];
    if (context.functions.includes(name)) return null;
    return `there is no function \`${name}\`${meant(name, context.functions)}`;
  }
  return null;
}

function unknownVariable(name: string): string {
  if (name === "item" || name === "index") return `\`${name}\` is only there in a step with \`foreach\``;
  if (name === "result") return "`result` is only there in a step's `outputs`";
  return `there is no variable \`${name}\`${meant(name, VARIABLES)}`;
}

function missingKey(node: ASTNode, scope: Scope | undefined): string | null {
  if (node.op !== "." && node.op !== "[]") return null;
  const key = keyOf(node);
  const receiver = chainOf(node.args[0]);
  const shown = receiver?.complete ? receiver.segments.map((segment) => segment.name).join(".") : "the value";
  const has = key === null ? "no such key" : `no \`${key}\``;
  if (scope === undefined || !receiver?.complete) return `${shown} has ${has}`;
  const [root, ...path] = receiver.segments.map((segment) => segment.name);
  const value = path.reduce(member, variable(scope, root ?? ""));
  if (!isJsonObject(value)) return `\`${shown}\` is ${kindOf(value)} and has ${has}`;
  const keys = Object.keys(value);
  if (keys.length === 0) return `\`${shown}\` is empty and has ${has}`;
  const listed = keys.slice(0, SHOWN_KEYS).join(", ") + (keys.length > SHOWN_KEYS ? ", …" : "");
  return `\`${shown}\` has ${has}${key === null ? "" : meant(key, keys)} (it has: ${listed})`;
}

function keyOf(node: ASTNode & { op: "." | "[]" }): string | null {
  if (node.op === ".") return node.args[1];
  const index = node.args[1];
  return index.op === "value" && typeof index.args === "string" ? index.args : null;
}

function member(value: Json | undefined, key: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function kindOf(value: Json | undefined): string {
  if (value === null) return "null";
  if (value === undefined) return "not there";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function meant(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === null ? "" : `; did you mean \`${near}\`?`;
}

/** The library's own words without its type wrappers. */
function plain(summary: string): string {
  const text = summary
    .replaceAll(/dyn<([^<>]*)>/g, "$1")
    .replace("Unexpected token: EOF", "it ends too early");
  return text.charAt(0).toLowerCase() + text.slice(1);
}
