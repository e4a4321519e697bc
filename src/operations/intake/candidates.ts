import { isJsonObject, type JsonObject } from "../../base/json.ts";
import { nearest } from "../../base/text.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import type { IntentCandidate } from "../../domain/intent.ts";
import type { Workflow } from "../../domain/workflow.ts";
import type { Parts } from "../parts.ts";

/** A candidate, and how a run of it is started. */
export interface Route {
  readonly candidate: IntentCandidate;
  readonly workflow: Workflow;
  /** Inputs that make the workflow this route. */
  readonly fixed: JsonObject;
}

const AGENT_INPUT = "agent";

/**
 * What a request may be for: each workflow, and each agent that no workflow stands for. An agent is started through
 * a workflow with an input `agent`; one that requires this input is no candidate itself, as its agents are.
 */
export async function intentRoutes(parts: Pick<Parts, "workflows" | "agents">): Promise<readonly Route[]> {
  const workflows = (await parts.workflows.list()).map(({ workflow }) => workflow);
  const agents = await parts.agents();
  const ofWorkflows = workflows
    .filter((workflow) => !requiresAgent(workflow))
    .map((workflow) => ({ candidate: workflowCandidate(workflow, agents), workflow, fixed: {} }));
  const stoodFor = new Set(workflows.flatMap(agentsOf));
  const ofAgents = agents.flatMap((agent): readonly Route[] => {
    const carrier = stoodFor.has(agent.name) ? null : carrierOf(agent, workflows);
    return carrier === null ? [] : [agentRoute(agent, carrier)];
  });
  return [...ofWorkflows, ...ofAgents];
}

/** The route to an agent that was named, through `workflow` if that was named too. */
export async function routeToAgent(
  parts: Pick<Parts, "workflows" | "agents">,
  name: string,
  through: Workflow | null,
): Promise<Result<Route>> {
  const agents = await parts.agents();
  const agent = agents.find((one) => one.name === name);
  if (agent === undefined) {
    const meant = nearest(
      name.slice(0, 100),
      agents.map((one) => one.name),
    );
    const hint = meant === null ? "" : ` Did you mean ${JSON.stringify(meant)}?`;
    return fail("not_found", `There is no agent ${JSON.stringify(name)}.${hint}`, { agent: name });
  }
  if (through !== null && !takesAgent(through)) {
    const message = `workflow is ${JSON.stringify(through.name)}, which has no input "agent"; leave one of the two out.`;
    return fail("invalid_request", message, { field: "agent" });
  }
  const workflows = (await parts.workflows.list()).map(({ workflow }) => workflow);
  const carrier = through ?? carrierOf(agent, workflows);
  if (carrier === null) {
    const message = `No workflow takes an agent by name, so ${JSON.stringify(name)} cannot be started; upload one with an input "agent".`;
    return fail("not_found", message, { agent: name });
  }
  return ok(agentRoute(agent, carrier));
}

export function routeToWorkflow(workflow: Workflow): Route {
  return { candidate: workflowCandidate(workflow, []), workflow, fixed: {} };
}

function workflowCandidate(workflow: Workflow, agents: readonly AgentSpec[]): IntentCandidate {
  const own = agentsOf(workflow);
  return {
    kind: "workflow",
    name: workflow.name,
    description: workflow.description,
    examples: workflow.examples ?? [],
    keywords: agents.filter(({ name }) => own.includes(name)).map(({ description }) => description),
    inputs: workflow.inputs,
  };
}

function agentRoute(agent: AgentSpec, carrier: Workflow): Route {
  const { required, ...schema } = carrier.inputs;
  const still = Array.isArray(required) ? required.filter((name) => name !== AGENT_INPUT) : [];
  return {
    candidate: {
      kind: "agent",
      name: agent.name,
      description: agent.description,
      examples: agent.examples ?? [],
      keywords: [],
      inputs: { ...schema, required: still },
    },
    workflow: carrier,
    fixed: { [AGENT_INPUT]: agent.name },
  };
}

/** Agents whose work a workflow is: named in its steps, or the default of its input. */
function agentsOf(workflow: Workflow): readonly string[] {
  const inSteps = workflow.steps.flatMap(({ uses, with: given }) =>
    uses === "agent" && typeof given.agent === "string" && !given.agent.includes("${{") ? [given.agent] : [],
  );
  const input = propertiesOf(workflow)[AGENT_INPUT];
  const standard = isJsonObject(input) ? input.default : undefined;
  return typeof standard === "string" ? [...inSteps, standard] : inSteps;
}

/** An agent whose work must pass gates is to leave a commit; any other only an answer. */
function carrierOf(agent: AgentSpec, workflows: readonly Workflow[]): Workflow | null {
  const carriers = workflows.filter(takesAgent);
  const fits = (workflow: Workflow) =>
    workflow.steps.some(({ uses }) => uses === "commit") === agent.validation.gates;
  const best = carriers.find((workflow) => fits(workflow) && requiresAgent(workflow));
  return best ?? carriers.find(fits) ?? carriers[0] ?? null;
}

function takesAgent(workflow: Workflow): boolean {
  return Object.hasOwn(propertiesOf(workflow), AGENT_INPUT);
}

function requiresAgent(workflow: Workflow): boolean {
  const { required } = workflow.inputs;
  return takesAgent(workflow) && Array.isArray(required) && required.includes(AGENT_INPUT);
}

function propertiesOf(workflow: Workflow): JsonObject {
  const { properties } = workflow.inputs;
  return isJsonObject(properties) ? properties : {};
}
