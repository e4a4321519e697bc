import type { Json, JsonObject } from "../base/json.ts";
import type { EffectClass } from "../domain/effect.ts";
import type { Sandbox } from "./sandbox.ts";

export interface ToolContext {
  /** Absolute path of the workspace; nothing outside it may be read or written. */
  readonly root: string;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
  /** What the agent has seen of each file (path → content hash), so that a stale edit is refused. Lives as long as the agent's step. */
  readonly seen: Map<string, string>;
  readonly onOutput?: (chunk: string) => void;
}

export interface ToolOutput {
  readonly isError: boolean;
  /** What the model reads; long output is already cut, visibly. */
  readonly text: string;
  /** Workspace paths that the call changed, as far as the tool knows. */
  readonly changed?: readonly string[];
  readonly data?: Json;
}

/** One thing an agent can do. `execute` must not throw: a mistake of the model's is an `isError` output that says how to do better. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of an object, flat. */
  readonly input: JsonObject;
  /** What may be done when a crash hid whether the call happened. */
  readonly effect: EffectClass;
  readonly risk: "low" | "medium" | "high";
  /** Reads only: may run beside other such calls of the same turn. */
  readonly readOnly: boolean;
  execute(input: Json, context: ToolContext): Promise<ToolOutput>;
  /** For `query`: what the world says of a call whose outcome was lost. `null`: it did not happen. */
  recover?(input: Json, context: ToolContext): Promise<ToolOutput | null>;
}

export interface ToolBox {
  /** The tools by name that suit a model (the edit tool differs by model family). Unknown names are reported. */
  pick(
    names: readonly string[],
    model: string,
  ): { readonly tools: readonly Tool[]; readonly unknown: readonly string[] };
  readonly names: readonly string[];
}
