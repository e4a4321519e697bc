import { isJsonObject, type Json } from "../base/json.ts";
import type { Expressions, Scope } from "./workflow.ts";

/** A piece of a text with `${{ … }}` in it. */
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  /** `offset` is where the expression itself starts in the text, behind `${{` and spaces; 0-based. */
  | { readonly kind: "expression"; readonly expression: string; readonly offset: number };

export type ParsedTemplate =
  | { readonly ok: true; readonly parts: readonly TemplatePart[]; readonly whole: boolean }
  | { readonly ok: false; readonly message: string; readonly offset: number };

export type TemplatePath = readonly (string | number)[];

/** An expression found in a value, or the reason why a text of it is no template. */
export type Found =
  | {
      readonly ok: true;
      readonly path: TemplatePath;
      readonly expression: string;
      readonly offset: number;
      /** Whether the text is this expression and nothing else, so that its value keeps its type. */
      readonly whole: boolean;
    }
  | { readonly ok: false; readonly path: TemplatePath; readonly message: string; readonly offset: number };

export type EvaluatedTemplate =
  | { readonly ok: true; readonly value: Json; readonly absent?: true }
  | { readonly ok: false; readonly message: string; readonly path: TemplatePath };

/** A mention of a variable in an expression, e.g. `steps.build.outputs` as three segments. */
export interface Reference {
  readonly segments: readonly { readonly name: string; readonly offset: number }[];
  /** Inside `has(…)` or behind `.?`: it may be missing without being a mistake. */
  readonly guarded: boolean;
}

/** What an expression mentions, as far as it can be told without evaluating it. Must not throw; `[]` for a malformed one. */
export interface References {
  references(expression: string): readonly Reference[];
}

const OPEN = "${{";
const CLOSE = "}}";

/** Splits a text at its expressions. `$${{` stands for a literal `${{`. */
export function parseTemplate(text: string): ParsedTemplate {
  const parts: TemplatePart[] = [];
  let literal = "";
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf(OPEN, at);
    if (open === -1) break;
    if (open > at && text[open - 1] === "$") {
      literal += text.slice(at, open - 1) + OPEN;
      at = open + OPEN.length;
      continue;
    }
    literal += text.slice(at, open);
    const close = closingOf(text, open + OPEN.length);
    if (close === -1)
      return { ok: false, message: `\`${OPEN}\` is not closed by \`${CLOSE}\``, offset: open };
    const inner = text.slice(open + OPEN.length, close);
    const expression = inner.trim();
    if (expression === "") return { ok: false, message: "the expression is empty", offset: open };
    if (literal !== "") parts.push({ kind: "text", text: literal });
    literal = "";
    const offset = open + OPEN.length + (inner.length - inner.trimStart().length);
    parts.push({ kind: "expression", expression, offset });
    at = close + CLOSE.length;
  }
  literal += text.slice(at);
  if (literal !== "") parts.push({ kind: "text", text: literal });
  return { ok: true, parts, whole: parts.length === 1 && parts[0]?.kind === "expression" };
}

/** Where the `}}` of an expression is: not inside a string, not the end of a map within the expression. -1: nowhere. */
function closingOf(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"' || char === "'") {
      at = endOfString(text, at);
    } else if (char === "{") {
      depth += 1;
    } else if (char === "}") {
      if (depth === 0 && text[at + 1] === "}") return at;
      depth = Math.max(0, depth - 1);
    }
  }
  return -1;
}

/** The last character of the string that starts at `start`; the end of the text when it is not closed. */
function endOfString(text: string, start: number): number {
  const quote = text.charAt(start);
  const triple = text.startsWith(quote.repeat(3), start);
  const end = triple ? quote.repeat(3) : quote;
  const raw = start > 0 && /[rR]/.test(text.charAt(start - 1)) && !/\w/.test(text.charAt(start - 2));
  let at = start + end.length;
  while (at < text.length && !text.startsWith(end, at)) at += text[at] === "\\" && !raw ? 2 : 1;
  return Math.min(at + end.length - 1, text.length);
}

/** Every expression in the strings of a value, in the order of the value. Keys are not templates. */
export function collectExpressions(value: Json): readonly Found[] {
  const found: Found[] = [];
  walk(value, [], (text, path) => {
    if (!text.includes(OPEN)) return;
    const template = parseTemplate(text);
    if (!template.ok) {
      found.push({ ok: false, path, message: template.message, offset: template.offset });
      return;
    }
    for (const part of template.parts) {
      if (part.kind === "text") continue;
      found.push({
        ok: true,
        path,
        expression: part.expression,
        offset: part.offset,
        whole: template.whole,
      });
    }
  });
  return found;
}

function walk(value: Json, path: TemplatePath, visit: (text: string, path: TemplatePath) => void): void {
  if (typeof value === "string") visit(value, path);
  else if (Array.isArray(value))
    value.forEach((item: Json, index) => void walk(item, [...path, index], visit));
  else if (isJsonObject(value)) {
    for (const [key, member] of Object.entries(value)) walk(member, [...path, key], visit);
  }
}

/**
 * The value with its expressions replaced by what they yield. A text that is one whole expression becomes
 * that value; in any other text a string stands as it is and everything else as JSON. An absent value leaves
 * its member out of an object, is `null` in a list, and nothing in a text.
 */
export function evaluateTemplate(value: Json, scope: Scope, expressions: Expressions): EvaluatedTemplate {
  return evaluateAt(value, [], (expression) => expressions.evaluate(expression, scope));
}

type Evaluate = (expression: string) => ReturnType<Expressions["evaluate"]>;

function evaluateAt(value: Json, path: TemplatePath, evaluate: Evaluate): EvaluatedTemplate {
  if (typeof value === "string") return evaluateText(value, path, evaluate);
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const [index, item] of (value as readonly Json[]).entries()) {
      const done = evaluateAt(item, [...path, index], evaluate);
      if (!done.ok) return done;
      items.push(done.value);
    }
    return { ok: true, value: items };
  }
  if (!isJsonObject(value)) return { ok: true, value };
  const members: [string, Json][] = [];
  for (const [key, member] of Object.entries(value)) {
    const done = evaluateAt(member, [...path, key], evaluate);
    if (!done.ok) return done;
    if (done.absent === undefined) members.push([key, done.value]);
  }
  return { ok: true, value: Object.fromEntries(members) };
}

function evaluateText(text: string, path: TemplatePath, evaluate: Evaluate): EvaluatedTemplate {
  if (!text.includes(OPEN)) return { ok: true, value: text };
  const template = parseTemplate(text);
  if (!template.ok) return { ok: false, message: template.message, path };
  let joined = "";
  for (const part of template.parts) {
    if (part.kind === "text") {
      joined += part.text;
      continue;
    }
    const result = evaluate(part.expression);
    if (!result.ok) return { ok: false, message: `\`${part.expression}\`: ${result.message}`, path };
    if (template.whole) return result;
    if (result.absent !== undefined) continue;
    joined += typeof result.value === "string" ? result.value : JSON.stringify(result.value);
  }
  return { ok: true, value: joined };
}
