import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import { count, moment } from "./shared.ts";

export const WorkerSchema = z
  .object({
    id: z.string(),
    host: z.string(),
    pid: count(),
    version: z.string(),
    roles: z.array(z.enum(["http", "worker", "services"])),
    slots: count().meta({ description: "Runs it drives at the same time." }),
    held: count().meta({ description: "Runs it drives now." }),
    labels: z.array(z.string()).meta({ description: "What it can do; runs that need more go elsewhere." }),
    draining: z.boolean().meta({ description: "It takes nothing new, and ends soon." }),
    leads: z
      .array(z.string())
      .meta({ description: "Duties that one process at a time has, and this one now." }),
    joined_at: moment(),
    silent_ms: count().meta({ description: "Since it was last heard of, by the database's clock." }),
    self: z.boolean().meta({ description: "It is the process that answers." }),
  })
  .meta({ id: "Worker", description: "A process that works on the database." });

export const WorkerListSchema = z.object({ workers: z.array(WorkerSchema) }).meta({ id: "WorkerList" });
export type WorkerList = z.infer<typeof WorkerListSchema>;

export const WorkerParams = z.object({ id: z.string().min(1).max(100) });

export const WorkerPatchSchema = z
  .strictObject({
    slots: z.int().min(1).max(LIMITS.mostSlots).meta({ description: "Fewer ends no run that has begun." }),
  })
  .meta({ id: "WorkerPatch" });

export const WishSchema = z
  .object({ id: z.string(), accepted: z.literal(true) })
  .meta({ id: "WorkerWish", description: "The worker is told within a second or two." });

export const ReloadSchema = z
  .object({
    changed: z
      .array(z.object({ setting: z.string(), from: z.string().nullable(), to: z.string().nullable() }))
      .meta({ description: "In force now; null is the default." }),
    needs_restart: z
      .array(z.string())
      .meta({ description: "Settings that are different now and will be in force at the next start." }),
  })
  .meta({ id: "Reload" });
export type Reload = z.infer<typeof ReloadSchema>;
