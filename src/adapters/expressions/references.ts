import type { ASTNode } from "@marcbachmann/cel-js";
import type { Reference } from "../../domain/template.ts";
import { boundName, childrenOf } from "./meter.ts";

type Segment = Reference["segments"][number];

/** The variables that a syntax tree mentions, each with the keys that are written out behind it. */
export function referencesOf(root: ASTNode): readonly Reference[] {
  const found: Reference[] = [];
  visit(root, { bound: new Set(), guarded: false, found });
  return found;
}

interface Visit {
  readonly bound: ReadonlySet<string>;
  readonly guarded: boolean;
  readonly found: Reference[];
}

function visit(node: ASTNode, at: Visit): void {
  const chain = chainOf(node);
  if (chain !== null) {
    const guarded = at.guarded || chain.optional;
    if (!at.bound.has(chain.segments[0]?.name ?? "")) at.found.push({ segments: chain.segments, guarded });
    for (const index of chain.computed) visit(index, at);
    return;
  }
  const name = boundName(node);
  const [receiver, ...rest] = childrenOf(node);
  if (name !== null && receiver !== undefined) {
    visit(receiver.node, at);
    const [value] = rest;
    const isBind = node.op === "rcall" && node.args[0] === "bind";
    if (isBind && value !== undefined) visit(value.node, at);
    const bound = new Set([...at.bound, name]);
    for (const child of isBind ? rest.slice(1) : rest) visit(child.node, { ...at, bound });
    return;
  }
  const guarded = at.guarded || (node.op === "call" && node.args[0] === "has");
  for (const child of childrenOf(node)) visit(child.node, { ...at, guarded });
}

export interface Chain {
  readonly segments: readonly Segment[];
  /** Whether the segments are the whole of the node: nothing computed comes behind them. */
  readonly complete: boolean;
  readonly optional: boolean;
  readonly computed: readonly ASTNode[];
}

/** `a.b["c"]` as segments, as far as its keys are written out; `null` when it does not start at a variable. */
export function chainOf(node: ASTNode): Chain | null {
  switch (node.op) {
    case "id":
      if (node.args === "cel" || node.args === "optional") return null;
      return {
        segments: [{ name: node.args, offset: node.start }],
        complete: true,
        optional: false,
        computed: [],
      };
    case ".":
    case ".?":
      return extend(node.args[0], { key: node.args[1], offset: node.pos, optional: node.op === ".?" });
    case "[]":
    case "[?]": {
      const key = node.args[1];
      const optional = node.op === "[?]";
      if (key.op === "value" && typeof key.args === "string") {
        return extend(node.args[0], { key: key.args, offset: key.start, optional });
      }
      return extend(node.args[0], { key: null, offset: key.start, optional, computed: key });
    }
    default:
      return null;
  }
}

function extend(
  receiver: ASTNode,
  by: {
    readonly key: string | null;
    readonly offset: number;
    readonly optional: boolean;
    readonly computed?: ASTNode;
  },
): Chain | null {
  const chain = chainOf(receiver);
  if (chain === null) return null;
  const grows = chain.complete && by.key !== null;
  return {
    segments: grows ? [...chain.segments, { name: by.key, offset: by.offset }] : chain.segments,
    complete: grows,
    optional: chain.optional || by.optional,
    computed: by.computed === undefined ? chain.computed : [...chain.computed, by.computed],
  };
}
