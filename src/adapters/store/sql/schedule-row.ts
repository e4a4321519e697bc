import { hash } from "node:crypto";
import { canonicalJson, type Json } from "../../../base/json.ts";
import { type Firing, type Schedule, type ScheduleSpec, TRIGGERED } from "../../../domain/schedule.ts";
import type { Workflow } from "../../../domain/workflow.ts";

export interface ScheduleRow {
  readonly id: string;
  readonly workflow: string;
  readonly origin: Schedule["origin"];
  readonly spec: string;
  readonly status: Schedule["status"];
  readonly created_at: number;
  readonly created_by: string;
  readonly cursor_at: number;
  readonly next_at: number | null;
}

export const SCHEDULE_COLUMNS =
  "id, workflow, origin, spec, status, created_at, created_by, cursor_at, next_at";

export function toSchedule(row: ScheduleRow): Schedule {
  return {
    id: row.id,
    workflow: row.workflow,
    origin: row.origin,
    spec: JSON.parse(row.spec) as ScheduleSpec,
    status: row.status,
    createdAt: row.created_at,
    createdBy: row.created_by,
    cursorAt: row.cursor_at,
    nextAt: row.next_at,
  };
}

export interface FiringRow {
  readonly schedule: string;
  readonly due_at: number;
  readonly state: Firing["state"];
  readonly run: string | null;
  readonly detail: string | null;
  readonly at: number;
}

export const FIRING_COLUMNS = "schedule, due_at, state, run, detail, at";

export function toFiring({ due_at: dueAt, ...row }: FiringRow): Firing {
  return { ...row, dueAt };
}

const ID_CHARS = 20;
const CREATED_BY = "workflow";

/** The schedules that a workflow's triggers stand for, as they are when it becomes the newest of its name. */
export function schedulesOf(workflow: Workflow, at: number): readonly Schedule[] {
  return (workflow.triggers ?? []).map((trigger) => {
    // By what it is: another trigger in the same file does not make it another.
    const content = canonicalJson({ workflow: workflow.name, trigger } as unknown as Json);
    return {
      id: `sch_${hash("sha256", content, "hex").slice(0, ID_CHARS)}`,
      workflow: workflow.name,
      origin: "workflow",
      spec: { ...trigger, ...TRIGGERED },
      status: "active",
      createdAt: at,
      createdBy: CREATED_BY,
      cursorAt: at,
      nextAt: at,
    };
  });
}
