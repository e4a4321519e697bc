import { nearest } from "../../base/text.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

/** By name. */
export function listAgents(parts: Pick<Parts, "agents">): Promise<Result<readonly AgentSpec[]>> {
  return asResult(async () => ok([...(await parts.agents())].sort((a, b) => (a.name < b.name ? -1 : 1))));
}

export function findAgent(parts: Pick<Parts, "agents">, name: string): Promise<Result<AgentSpec>> {
  return asResult(async () => {
    const agents = await parts.agents();
    const found = agents.find((agent) => agent.name === name);
    if (found) return ok(found);
    const meant = nearest(
      name.slice(0, 100),
      agents.map((agent) => agent.name),
    );
    const hint = meant === null ? "" : ` Did you mean ${JSON.stringify(meant)}?`;
    return fail("not_found", `There is no agent ${JSON.stringify(name.slice(0, 200))}.${hint}`, {
      agent: name.slice(0, 200),
    });
  });
}
