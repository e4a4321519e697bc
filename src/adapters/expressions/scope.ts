import { isJsonObject, type Json } from "../../base/json.ts";
import type { Reference } from "../../domain/template.ts";
import type { Scope } from "../../domain/workflow.ts";
import { toCel } from "./values.ts";

/** The variables of the language. `item`, `index` and `result` are there only where there is one. */
export const VARIABLES = ["inputs", "run", "steps", "item", "index", "result"] as const;

export function variable(scope: Scope, name: string): Json | undefined {
  switch (name) {
    case "inputs":
      return scope.inputs;
    case "run":
      return scope.run;
    case "steps":
      return scope.steps;
    case "item":
      return scope.item;
    case "index":
      return scope.index;
    case "result":
      return scope.result;
    default:
      return undefined;
  }
}

interface Wanted {
  /** Everything below is wanted. */
  whole: boolean;
  readonly keys: Map<string, Wanted>;
}

/** What of the scope an expression mentions, so that a long history of steps costs nothing when one output is read. */
export function wantedOf(references: readonly Reference[]): ReadonlyMap<string, Wanted> {
  const root: Wanted = { whole: false, keys: new Map() };
  for (const reference of references) {
    let at = root;
    for (const { name } of reference.segments) {
      const next = at.keys.get(name) ?? { whole: false, keys: new Map<string, Wanted>() };
      at.keys.set(name, next);
      at = next;
    }
    at.whole = true;
  }
  return root.keys;
}

export function celScope(scope: Scope, wanted: ReadonlyMap<string, Wanted>): Map<string, unknown> {
  const context = new Map<string, unknown>();
  for (const [name, part] of wanted) {
    const value = variable(scope, name);
    if (value !== undefined) context.set(name, partOf(value, part));
  }
  return context;
}

function partOf(value: Json, wanted: Wanted): unknown {
  if (wanted.whole || !isJsonObject(value)) return toCel(value);
  const part = new Map<string, unknown>();
  for (const [key, below] of wanted.keys) {
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    if (member !== undefined) part.set(key, partOf(member, below));
  }
  return part;
}
