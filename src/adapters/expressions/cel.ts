import { type ASTNode, Environment, Optional, type ParseResult } from "@marcbachmann/cel-js";
import { type Json, jsonDepth } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Reference, References } from "../../domain/template.ts";
import type { Evaluated, Expressions, Scope } from "../../domain/workflow.ts";
import { explain } from "./explain.ts";
import { EXPRESSION_LIMITS } from "./limits.ts";
import { childrenOf, type Meter, meterNodes, newMeter, settle } from "./meter.ts";
import { referencesOf } from "./references.ts";
import { celScope, VARIABLES, wantedOf } from "./scope.ts";
import { fromCel, toCel, ValueError } from "./values.ts";

const STATUS_FUNCTIONS: ReadonlySet<string> = new Set(["success", "failure", "always"]);

type Compiled =
  | {
      readonly ok: true;
      readonly run: ParseResult;
      readonly wanted: ReturnType<typeof wantedOf>;
      readonly references: readonly Reference[];
      readonly asksStatus: boolean;
    }
  | {
      readonly ok: false;
      readonly message: string;
      readonly offset: number;
      readonly references: readonly Reference[];
    };

/** One evaluation at a time: the language has no waiting in it. */
interface Current {
  scope: Scope | null;
  meter: Meter;
}

/**
 * Expressions in CEL, the Common Expression Language: no loops without an end, no side effects, no way to a
 * prototype. Reading a missing key is an error; `has(…)` and `.?` are for what may be missing.
 */
export function createExpressions(): Expressions & References {
  const current: Current = { scope: null, meter: newMeter() };
  const environment = createEnvironment(current);
  const functions = [...new Set(environment.getDefinitions().functions.map((known) => known.name))];
  const cache = new Map<string, Compiled>();

  const compiled = (expression: string): Compiled => {
    const known = cache.get(expression);
    if (known !== undefined) return known;
    const fresh = compile(expression, { environment, functions, current });
    if (cache.size >= EXPRESSION_LIMITS.cached) cache.delete(cache.keys().next().value ?? "");
    cache.set(expression, fresh);
    return fresh;
  };

  return {
    evaluate(expression, scope): Evaluated {
      const code = compiled(expression);
      if (!code.ok) return { ok: false, message: code.message };
      current.scope = scope;
      current.meter = newMeter();
      try {
        const value = code.run(celScope(scope, code.wanted));
        settle(current.meter);
        const absent = value instanceof Optional && !value.hasValue();
        return absent ? { ok: true, value: null, absent } : { ok: true, value: fromCel(value) };
      } catch (error) {
        return { ok: false, message: explain(error, { functions, scope }).message };
      } finally {
        current.scope = null;
      }
    },
    check(expression) {
      const code = compiled(expression);
      return code.ok ? null : { message: code.message, offset: code.offset };
    },
    asksStatus(expression) {
      const code = compiled(expression);
      return code.ok && code.asksStatus;
    },
    references: (expression) => compiled(expression).references,
  };
}

function compile(
  expression: string,
  with_: {
    readonly environment: Environment;
    readonly functions: readonly string[];
    readonly current: Current;
  },
): Compiled {
  const { environment, functions, current } = with_;
  if (expression.length > EXPRESSION_LIMITS.chars) {
    const message = `an expression has at most ${EXPRESSION_LIMITS.chars} characters; this one has ${expression.length}`;
    return { ok: false, message, offset: 0, references: [] };
  }
  let references: readonly Reference[] = [];
  try {
    const run = environment.parse(expression);
    references = referencesOf(run.ast);
    const refused = refusedIn(run.ast);
    if (refused !== null) return { ok: false, ...refused, references };
    const checked = run.check();
    if (!checked.valid) return { ok: false, ...explain(checked.error, { functions }), references };
    const asksStatus = nodesOf(run.ast).some(
      (node) => node.op === "call" && STATUS_FUNCTIONS.has(node.args[0]),
    );
    meterNodes(run.ast, () => current.meter);
    return { ok: true, run, wanted: wantedOf(references), references, asksStatus };
  } catch (error) {
    return { ok: false, ...explain(error, { functions }), references };
  }
}

function nodesOf(root: ASTNode): readonly ASTNode[] {
  const nodes: ASTNode[] = [];
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    nodes.push(node);
    open.push(...childrenOf(node).map((child) => child.node));
  }
  return nodes;
}

const SILENT_KEYS: ReadonlySet<unknown> = new Set(["__proto__", "constructor", "prototype"]);

/** What the library offers and we do not. */
function refusedIn(root: ASTNode): { readonly message: string; readonly offset: number } | null {
  for (const node of nodesOf(root)) {
    // A backtracking pattern can take forever on a short text, and no meter sees inside it.
    if (node.op === "rcall" && node.args[0] === "matches") {
      const message = "`matches` is not available; use `contains`, `startsWith`, `endsWith`, `split` or `==`";
      return { message, offset: node.start };
    }
    if (node.op !== "map") continue;
    for (const [key] of node.args) {
      if (key.op !== "value" || !SILENT_KEYS.has(key.args)) continue;
      return {
        message: `a map in an expression cannot have the key \`${String(key.args)}\``,
        offset: key.start,
      };
    }
  }
  return null;
}

function createEnvironment(current: Current): Environment {
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: {
      maxAstNodes: EXPRESSION_LIMITS.nodes,
      maxDepth: EXPRESSION_LIMITS.nesting,
      maxListElements: EXPRESSION_LIMITS.nodes,
      maxMapEntries: EXPRESSION_LIMITS.nodes,
    },
  });
  for (const name of VARIABLES) environment.registerVariable(name, "dyn");
  const sync = { async: false };
  environment.registerFunction("success(): bool", () => current.scope?.status.success ?? false, sync);
  environment.registerFunction("failure(): bool", () => current.scope?.status.failure ?? false, sync);
  environment.registerFunction("always(): bool", () => true, sync);
  environment.registerFunction("toJson(dyn): string", (value) => JSON.stringify(fromCel(value)), sync);
  environment.registerFunction("fromJson(string): dyn", parseJson, sync);
  const toOptional = (_: unknown, value: unknown) => (isZero(value) ? Optional.none() : Optional.of(value));
  environment.registerFunction("OptionalNamespace.ofNonZeroValue(dyn): optional<dyn>", toOptional, sync);
  registerMixedNumbers(environment);
  return environment;
}

/** CEL's zero values; `null` is one too. */
function isZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (value instanceof Map) return value.size === 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === "" || value === false || value === 0 || value === 0n;
}

function parseJson(text: string): unknown {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw new ValueError(`fromJson: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (jsonDepth(value, LIMITS.jsonDepth) > LIMITS.jsonDepth) {
    throw new ValueError(`fromJson: nested deeper than ${LIMITS.jsonDepth} levels`);
  }
  return toCel(value);
}

/** JSON does not tell 2 from 2.0, so an int meets a double wherever data does. */
function registerMixedNumbers(environment: Environment): void {
  type Mix = (a: bigint | number, b: bigint | number) => number;
  const operators: readonly (readonly [string, Mix])[] = [
    ["+", (a, b) => Number(a) + Number(b)],
    ["-", (a, b) => Number(a) - Number(b)],
    ["*", (a, b) => Number(a) * Number(b)],
    ["/", (a, b) => Number(a) / Number(b)],
  ];
  for (const [operator, mix] of operators) {
    environment.registerOperator(`int ${operator} double: double`, mix);
    environment.registerOperator(`double ${operator} int: double`, mix);
  }
}
