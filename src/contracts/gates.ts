import type { Result } from "../domain/errors.ts";
import type { Sandbox } from "./sandbox.ts";

export interface GateSpec {
  /** `lint`, `types`, `test`, …: unique in the repository. */
  readonly name: string;
  readonly run: { readonly program: string; readonly args: readonly string[] } | { readonly shell: string };
  /** Relative to the workspace. */
  readonly workdir: string;
  readonly timeoutMs: number;
  /** A gate that is not required is reported but does not fail the verdict. */
  readonly required: boolean;
  readonly origin: "configured" | "detected";
}

export interface Finding {
  readonly path: string;
  readonly line: number | null;
  readonly message: string;
  readonly rule: string | null;
}

export interface GateResult {
  readonly name: string;
  readonly command: string;
  readonly required: boolean;
  readonly passed: boolean;
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly ms: number;
  readonly findings: readonly Finding[];
  /** Exact output, head and tail when long. */
  readonly output: string;
  readonly elidedBytes: number;
}

export interface Verdict {
  readonly passed: boolean;
  readonly gates: readonly GateResult[];
  /** The work tree that was judged: a claim counts only while it is the current one. */
  readonly treeHash: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface Gates {
  /** From `.agent-runner/gates.yaml` of the repository, else detected; an empty list is a fact to be told, not an error. */
  specs(root: string): Promise<Result<readonly GateSpec[]>>;
  run(
    gate: GateSpec,
    options: { readonly root: string; readonly sandbox: Sandbox; readonly signal: AbortSignal },
  ): Promise<Result<GateResult>>;
}
