import type { Json } from "../base/json.ts";
import type { Tool } from "../contracts/tool.ts";
import type { AgentSpec } from "../domain/agent.ts";

export type Risk = Tool["risk"];

/** What an agent wants to do, before it is done. */
export interface ProposedCall {
  readonly agent: AgentSpec;
  readonly tool: Pick<Tool, "name" | "risk" | "readOnly">;
  readonly input: Json;
}

/** `allow` it · `ask` a person first · `deny` it and tell the model why. */
export type Decision =
  | { readonly kind: "allow" }
  | { readonly kind: "ask"; readonly title: string; readonly risk: Risk; readonly timeoutMs: number }
  | { readonly kind: "deny"; readonly reason: string };

/** The only gate between a model's wish and the world. Pure: the same call gets the same decision. */
export type Authorize = (call: ProposedCall) => Decision;

export interface RiskPolicy {
  /** Calls up to this risk just happen. */
  readonly allowUpTo: Risk;
  /** What becomes of riskier ones. */
  readonly above: "ask" | "deny";
  /** How long a person has to answer; silence means that it is not done. */
  readonly askTimeoutMs: number;
}

const RANK: Readonly<Record<Risk, number>> = { low: 0, medium: 1, high: 2 };

/** Allows calls up to a risk. Only tools that the agent's file lists come this far. */
export function authorizeByRisk(policy: RiskPolicy): Authorize {
  return ({ agent, tool }) => {
    if (RANK[tool.risk] <= RANK[policy.allowUpTo]) return { kind: "allow" };
    if (policy.above === "deny") {
      return {
        kind: "deny",
        reason: `"${tool.name}" is of ${tool.risk} risk, and only ${policy.allowUpTo} risk is allowed here`,
      };
    }
    return {
      kind: "ask",
      title: `${agent.name} wants to call ${tool.name}`,
      risk: tool.risk,
      timeoutMs: policy.askTimeoutMs,
    };
  };
}
