import { findAgent, listAgents } from "../../operations/catalog/list-agents.ts";
import { listProviders } from "../../operations/catalog/list-providers.ts";
import { AgentListSchema, AgentParams, AgentSchema, ModelListSchema, ProviderListSchema } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentAgent, presentListedAgent, presentModel, presentProvider } from "../present-definitions.ts";
import { failures } from "./responses.ts";

export function catalogRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/agents",
    {
      schema: {
        tags: ["agents"],
        operationId: "listAgents",
        summary: "Agents by name",
        response: { 200: AgentListSchema, ...failures(503) },
      },
    },
    async () => ({ agents: valueOrThrow(await listAgents(parts)).map(presentListedAgent) }),
  );

  app.get(
    "/agents/:name",
    {
      schema: {
        tags: ["agents"],
        operationId: "getAgent",
        summary: "An agent with its limits and prompt",
        params: AgentParams,
        response: { 200: AgentSchema, ...failures(404, 503) },
      },
    },
    async (request) => presentAgent(valueOrThrow(await findAgent(parts, request.params.name))),
  );

  app.get(
    "/providers",
    {
      schema: {
        tags: ["providers"],
        operationId: "listProviders",
        summary: "Model providers with their health, asked now",
        response: { 200: ProviderListSchema, ...failures(503) },
      },
    },
    async () => ({ providers: valueOrThrow(await listProviders(parts)).map(presentProvider) }),
  );

  app.get(
    "/models",
    {
      schema: {
        tags: ["providers"],
        operationId: "listModels",
        summary: "Models of the catalogue, of the configuration and in use, with their live health",
        response: { 200: ModelListSchema },
      },
    },
    async () => ({ models: parts.gateway.models().map(presentModel) }),
  );
}
