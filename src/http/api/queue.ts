import { z } from "zod";
import { REFUSAL_SCOPES } from "../../domain/admission.ts";
import { LIMITS } from "../../domain/limits.ts";
import { SLA_PARTS } from "../../domain/sla.ts";
import { count, moment } from "./shared.ts";

export const SlaSchema = z
  .object({
    class: z.string().nullable().meta({ description: "The priority class." }),
    deadline_at: moment().nullable(),
    start_by: moment().nullable(),
    target_ms: count().nullable(),
    state: z.enum(["ok", "at_risk", "breached"]),
    breaches: z.array(
      z.object({
        what: z.enum(SLA_PARTS),
        due_at: moment(),
        by_ms: count().meta({ description: "How late it was, or is by now." }),
      }),
    ),
    estimated_wait_ms: count()
      .nullable()
      .meta({ description: "Until a queued run begins, about; null when it has begun or nobody can tell." }),
    note: z
      .string()
      .nullable()
      .meta({ description: "What keeps a queued run from beginning, if that is known." }),
  })
  .meta({ id: "Sla", description: "What the run was promised, and how it stands." });

const scope = z.enum(REFUSAL_SCOPES);

export const QueueSchema = z
  .object({
    queued: count(),
    max_queued: count(),
    ready: count(),
    parked: count(),
    leased: count(),
    resting: count(),
    workers: count(),
    slots: count(),
    service_ms: z
      .number()
      .nullable()
      .meta({ description: "How long a run keeps a slot, on average, lately." }),
    drained_per_second: z.number(),
    classes: z.array(
      z.object({
        class: z.string(),
        priority: count(),
        queued: count(),
        estimated_wait_ms: count().nullable(),
      }),
    ),
    tenants: z
      .array(
        z.object({
          tenant: z.string(),
          queued: count(),
          max_queued: count().nullable(),
          max_running: count().nullable(),
          weight: z.number(),
        }),
      )
      .meta({ description: "The fullest." }),
    unserved: z
      .array(
        z.object({
          needs: z.array(z.string()),
          queued: count().meta({ description: `At most ${LIMITS.unservedRuns} are counted.` }),
        }),
      )
      .meta({
        description: `Runs that wait for labels which no live worker has together, the most first, up to ${LIMITS.unservedSets}.`,
      }),
    refused: z
      .object({ queue_full: count(), tenant_queue_full: count(), concurrency_conflict: count() })
      .meta({ description: "By the store, since it was made." }),
    dropped: count().meta({
      description: "Runs that gave way to more urgent ones, since the store was made.",
    }),
    here: z
      .object({
        since: moment(),
        admitted: count(),
        dropped: count(),
        refused: z.array(z.object({ scope, class: z.string(), count: count() })),
      })
      .meta({ description: "By this process, since it started." }),
  })
  .meta({ id: "Queue" });

export const QueueEventSchema = z
  .object({
    kind: z.enum(["throttled", "dropped_low_priority"]),
    at: moment(),
    scope,
    class: z.string(),
    tenant: z.string(),
    code: z.string(),
    retry_after_ms: count().nullable(),
    runs: z.array(z.string()).meta({ description: "Those that were dropped." }),
  })
  .meta({ id: "QueueEvent", description: "Something was turned away, or gave way." });
