import { readTask } from "../../operations/intake/read-task.ts";
import { ReadTaskSchema, type TaskReading, TaskReadingSchema } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { failures } from "./responses.ts";

const DESCRIPTION = `By the mediator model where one is configured; by rules when it is absent, slow or wrong, which \`by\` and
\`reason\` say. Nothing is started: correct the answer and send it as the \`task\` of a workflow.`;

export function taskRoutes(app: App, parts: RouteParts): void {
  app.post(
    "/v1/tasks/read",
    {
      schema: {
        tags: ["act"],
        operationId: "readTask",
        summary: "Read a loosely written task into its parts",
        description: DESCRIPTION,
        body: ReadTaskSchema,
        response: { 200: TaskReadingSchema, ...failures(400, 413, 415) },
      },
    },
    async (request, reply): Promise<TaskReading> => {
      const gone = new AbortController();
      reply.raw.on("close", () => gone.abort());
      const read = valueOrThrow(await readTask(parts, { text: request.body.text, signal: gone.signal }));
      const { hints, changes, context, acceptance, ...task } = read.value;
      return {
        task: {
          ...task,
          changes: [...changes],
          context: [...context],
          acceptance: [...acceptance],
          hints: { paths: [...hints.paths], checks: [...hints.checks] },
        },
        by: read.by,
        model: read.model ?? null,
        reason: read.reason ?? null,
      };
    },
  );
}
