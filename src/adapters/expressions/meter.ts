import type { ASTNode } from "@marcbachmann/cel-js";
import { EXPRESSION_LIMITS } from "./limits.ts";
import { weigh } from "./values.ts";

/** What one evaluation may still do. */
export interface Meter {
  remaining: number;
  readonly known: WeakMap<object, number>;
}

export function newMeter(): Meter {
  return { remaining: EXPRESSION_LIMITS.work, known: new WeakMap() };
}

/** Thrown once and again without a new stack: an expression swallows errors in `||` and in quantifiers. */
class WorkLimitError extends Error {
  override readonly name = "WorkLimitError";
}

const EXHAUSTED = new WorkLimitError(
  `it takes more than ${EXPRESSION_LIMITS.work} units of work; filter or shorten the lists and texts first`,
);

/** An expression that has swallowed the limit's error has no value either. */
export function settle(meter: Meter): void {
  if (meter.remaining < 0) throw EXHAUSTED;
}

function spend(meter: Meter, units: number): void {
  meter.remaining -= units;
  if (meter.remaining < 0) throw EXHAUSTED;
}

/** How the value of a node is used, which decides what reading it costs. */
type Use = "value" | "receiver" | "range";

/** The part of the library's node that carries it out; not in its type declarations, held by our tests. */
interface Runnable {
  evaluate: Evaluate;
  readonly meta: {
    readonly evaluate: Evaluate;
    readonly alternate?: Runnable;
    readonly macro?: { evaluate: (evaluator: unknown, macro: unknown, context: unknown) => unknown };
  };
}
type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;

const COMPREHENSIONS: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);

/** Children of a node that are evaluated, with how their values are used. A bound variable's name is none. */
export function childrenOf(node: ASTNode): readonly { readonly node: ASTNode; readonly use: Use }[] {
  const value = (child: ASTNode) => ({ node: child, use: "value" as const });
  switch (node.op) {
    case "value":
    case "id":
      return [];
    case ".":
    case ".?":
      return [{ node: node.args[0], use: "receiver" }];
    case "[]":
    case "[?]":
      return [{ node: node.args[0], use: "receiver" }, value(node.args[1])];
    case "call":
      return node.args[1].map((child) =>
        node.args[0] === "has" ? { node: child, use: "receiver" } : value(child),
      );
    case "rcall":
      return callChildren(node);
    case "map":
      return node.args.flatMap(([key, member]) => [value(key), value(member)]);
    case "!_":
    case "-_":
      return [value(node.args)];
    default:
      return node.args.map(value);
  }
}

/** The name that a method call binds for its other arguments: `list.map(x, …)`, `cel.bind(x, …)`. */
export function boundName(node: ASTNode): string | null {
  if (node.op !== "rcall") return null;
  const [method, receiver, args] = node.args;
  const first = args[0];
  if (first?.op !== "id" || args.length < 2) return null;
  const binds =
    COMPREHENSIONS.has(method) || (method === "bind" && receiver.op === "id" && receiver.args === "cel");
  return binds ? first.args : null;
}

function callChildren(
  node: ASTNode & { op: "rcall" },
): readonly { readonly node: ASTNode; readonly use: Use }[] {
  const [method, receiver, args] = node.args;
  const binds = boundName(node) !== null;
  const rest = (binds ? args.slice(1) : args).map((child) => ({ node: child, use: "value" as const }));
  const use: Use = binds && COMPREHENSIONS.has(method) ? "range" : "value";
  return [{ node: receiver, use }, ...rest];
}

/**
 * Makes every node of a checked expression pay for its evaluation. The library bounds the size of an expression
 * but not what it does: comprehensions within comprehensions, or a text that doubles itself.
 */
export function meterNodes(root: ASTNode, meter: () => Meter): void {
  const open: { node: ASTNode; use: Use }[] = [{ node: root, use: "value" }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    open.push(...childrenOf(next.node));
    if (next.node.op !== "value") meterNode(next.node as unknown as Runnable, next.use, meter);
  }
}

function meterNode(node: Runnable, use: Use, meter: () => Meter): void {
  node.evaluate = (evaluator, _node, context) => {
    const current = meter();
    spend(current, 1);
    const value = run(node, evaluator, context);
    if (use === "value") spend(current, weigh(value, current.known));
    else if (use === "range") spend(current, sizeOf(value));
    return value;
  };
}

function run(node: Runnable, evaluator: unknown, context: unknown): unknown {
  const { alternate, macro, evaluate } = node.meta;
  if (alternate !== undefined) return alternate.evaluate(evaluator, alternate, context);
  if (macro !== undefined) return macro.evaluate(evaluator, macro, context);
  return evaluate(evaluator, node, context);
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 1;
}
