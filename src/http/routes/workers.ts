import { type FleetView, listMembers } from "../../operations/fleet/list-members.ts";
import { reloadHere, reloadMember, resizeMember } from "../../operations/fleet/steer-member.ts";
import { ReloadSchema, WishSchema, WorkerListSchema, WorkerParams, WorkerPatchSchema } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { failures } from "./responses.ts";

export function workerRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/v1/workers",
    {
      schema: {
        tags: ["workers"],
        operationId: "listWorkers",
        summary: "The processes that work on the database, oldest first",
        response: { 200: WorkerListSchema, ...failures(503) },
      },
    },
    async () => ({ workers: valueOrThrow(await listMembers(parts)).members.map(present) }),
  );

  app.patch(
    "/v1/workers/:id",
    {
      schema: {
        tags: ["workers"],
        operationId: "resizeWorker",
        summary: "Has a worker, of this process or another, drive another number of runs at a time",
        params: WorkerParams,
        body: WorkerPatchSchema,
        response: { 202: WishSchema, ...failures(400, 404, 409, 503) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      valueOrThrow(await resizeMember(parts, { id, slots: request.body.slots }));
      return reply.code(202).send({ id, accepted: true });
    },
  );

  app.post(
    "/v1/workers/:id/reload",
    {
      schema: {
        tags: ["workers"],
        operationId: "reloadWorker",
        summary: "Has a process read its settings again; its log says what changed",
        params: WorkerParams,
        response: { 202: WishSchema, ...failures(404, 503) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      valueOrThrow(await reloadMember(parts, id));
      return reply.code(202).send({ id, accepted: true });
    },
  );

  app.post(
    "/v1/reload",
    {
      schema: {
        tags: ["workers"],
        operationId: "reload",
        summary:
          "Has this server read its settings again, and says what changed; a wrong one changes nothing",
        response: { 200: ReloadSchema, ...failures(400, 409) },
      },
    },
    async () => {
      const { changed, needsRestart } = valueOrThrow(await reloadHere(parts));
      return { changed: changed.map((one) => ({ ...one })), needs_restart: [...needsRestart] };
    },
  );
}

function present(member: FleetView["members"][number]) {
  return {
    id: member.id,
    host: member.host,
    pid: member.pid,
    version: member.version,
    roles: [...member.roles],
    slots: member.slots,
    held: member.held,
    labels: [...member.labels],
    draining: member.draining,
    leads: [...member.leads],
    joined_at: new Date(member.joinedAt).toISOString(),
    silent_ms: member.silentMs,
    self: member.self,
  };
}
