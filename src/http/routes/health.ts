import { readiness } from "../../operations/health/readiness.ts";
import { HealthSchema, ReadinessSchema } from "../api.ts";
import type { App, RouteParts } from "../parts.ts";

export function healthRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/healthz",
    {
      schema: {
        tags: ["health"],
        operationId: "healthz",
        summary: "Whether the process answers; asks nobody else",
        response: { 200: HealthSchema },
      },
    },
    async () => ({
      status: "ok" as const,
      version: parts.version,
      uptime_ms: Math.max(0, parts.clock.now() - parts.startedAt),
    }),
  );

  app.get(
    "/readyz",
    {
      schema: {
        tags: ["health"],
        operationId: "readyz",
        summary: "Whether work sent here would be accepted and done; 503 with the reasons when not",
        response: { 200: ReadinessSchema, 503: ReadinessSchema },
      },
    },
    async (_request, reply) => {
      const state = await readiness(parts);
      const body = { ready: state.ready, checks: state.checks.map((check) => ({ ...check })) };
      return state.ready ? reply.code(200).send(body) : reply.code(503).header("retry-after", "1").send(body);
    },
  );
}
