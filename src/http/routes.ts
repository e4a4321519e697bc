import type { App, RouteParts } from "./parts.ts";
import { actRoutes } from "./routes/act.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { catalogRoutes } from "./routes/catalog.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { queueRoutes } from "./routes/queue.ts";
import { runMessageRoutes } from "./routes/run-messages.ts";
import { runRoutes } from "./routes/runs.ts";
import { scheduleRoutes } from "./routes/schedules.ts";
import { spendRoutes } from "./routes/spend.ts";
import { taskRoutes } from "./routes/tasks.ts";
import { workerRoutes } from "./routes/workers.ts";
import { workflowRoutes } from "./routes/workflows.ts";

const FAMILIES = [
  actRoutes,
  taskRoutes,
  runRoutes,
  runMessageRoutes,
  eventRoutes,
  artifactRoutes,
  approvalRoutes,
  workflowRoutes,
  catalogRoutes,
  queueRoutes,
  spendRoutes,
  scheduleRoutes,
  workerRoutes,
  healthRoutes,
];

/** Each family in a scope of its own, so that what one accepts (YAML) the others do not. */
export function allRoutes(app: App, parts: RouteParts): void {
  for (const family of FAMILIES) {
    app.register(async (scope) => family(scope as App, parts));
  }
}
