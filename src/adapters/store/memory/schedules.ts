import type { ScheduleStore } from "../../../contracts/schedule-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { hasRunEnded } from "../../../domain/run.ts";
import {
  type Firing,
  reconcileSchedules,
  type Schedule,
  type ScheduleEvent,
} from "../../../domain/schedule.ts";
import type { Workflow } from "../../../domain/workflow.ts";
import { schedulesOf } from "../sql/schedule-row.ts";
import { copy, type MemoryState } from "./state.ts";

const byId = (a: Schedule, b: Schedule) => (a.id < b.id ? -1 : 1);

/** The contract of schedules in plain values. */
export class MemorySchedules implements ScheduleStore {
  readonly #state: Pick<MemoryState, "byId">;
  readonly #all = new Map<string, Schedule>();
  readonly #firings = new Map<string, Map<number, Firing>>();
  readonly #events = new Map<string, ScheduleEvent[]>();

  constructor(state: Pick<MemoryState, "byId">) {
    this.#state = state;
  }

  async add(schedule: Schedule): Promise<boolean> {
    return this.#add(schedule);
  }

  async byId(id: string): Promise<Schedule | null> {
    return copy(this.#all.get(id) ?? null);
  }

  async list({ workflow, after, limit }: Parameters<ScheduleStore["list"]>[0]): Promise<readonly Schedule[]> {
    const found = [...this.#all.values()].filter(
      (one) =>
        one.status !== "removed" &&
        (workflow === undefined || one.workflow === workflow) &&
        (after === null || one.id > after),
    );
    return copy(found.sort(byId).slice(0, limit));
  }

  async change(
    id: string,
    { status, by, at }: Parameters<ScheduleStore["change"]>[1],
  ): Promise<Schedule | null> {
    const found = this.#all.get(id);
    if (found === undefined || found.status === "removed") return null;
    if (found.status === status) return copy(found);
    this.#say(id, { at, kind: status === "active" ? "resumed" : status, by, detail: null });
    return copy(this.#set(found, status, at));
  }

  async due(now: number, limit: number): Promise<readonly Schedule[]> {
    const at = (one: Schedule) => one.nextAt ?? Number.POSITIVE_INFINITY;
    const due = [...this.#all.values()].filter((one) => one.status === "active" && at(one) <= now);
    return copy(due.sort((a, b) => at(a) - at(b) || byId(a, b)).slice(0, limit));
  }

  async advance(id: string, { from, plan, at }: Parameters<ScheduleStore["advance"]>[1]): Promise<boolean> {
    const found = this.#all.get(id);
    if (found?.status !== "active" || found.cursorAt !== from) return false;
    this.#all.set(id, { ...found, cursorAt: plan.cursorAt, nextAt: plan.nextAt });
    const mine = this.#of(id);
    this.#firings.set(id, mine);
    for (const dueAt of plan.fire) {
      if (!mine.has(dueAt))
        mine.set(dueAt, { schedule: id, dueAt, state: "due", run: null, detail: null, at });
    }
    if (plan.missed !== null) {
      this.#say(id, { at, kind: "missed", by: "scheduler", detail: JSON.stringify(plan.missed) });
    }
    this.#forget(mine);
    return true;
  }

  async open(limit: number): Promise<readonly Firing[]> {
    const open = [...this.#firings.values()]
      .flatMap((mine) => [...mine.values()])
      .filter(({ state }) => state === "due" || state === "starting");
    const sorted = open.sort((a, b) => a.dueAt - b.dueAt || (a.schedule < b.schedule ? -1 : 1));
    return copy(sorted.slice(0, limit));
  }

  async settle(
    { schedule, dueAt }: Pick<Firing, "schedule" | "dueAt">,
    from: readonly Firing["state"][],
    to: Pick<Firing, "state" | "run" | "detail" | "at">,
  ): Promise<Firing | null> {
    const found = this.#of(schedule).get(dueAt);
    if (found === undefined) return null;
    if (!from.includes(found.state)) return copy(found);
    const settled = { schedule, dueAt, ...copy(to) };
    this.#of(schedule).set(dueAt, settled);
    return copy(settled);
  }

  async openRuns(schedule: string, dueAt: number): Promise<readonly string[]> {
    const earlier = [...this.#of(schedule).values()].filter(
      (one) => one.dueAt < dueAt && this.#isOpen(one.run),
    );
    return earlier.sort((a, b) => a.dueAt - b.dueAt).flatMap(({ run }) => run ?? []);
  }

  async firings(schedule: string, limit: number): Promise<readonly Firing[]> {
    return copy([...this.#of(schedule).values()].sort((a, b) => b.dueAt - a.dueAt).slice(0, limit));
  }

  async events(schedule: string, limit: number): Promise<readonly ScheduleEvent[]> {
    return copy([...(this.#events.get(schedule) ?? [])].reverse().slice(0, limit));
  }

  /** What the newest version of a workflow makes of its schedules. */
  follow(workflow: Workflow, at: number): void {
    const known = [...this.#all.values()].filter(
      (one) => one.workflow === workflow.name && one.origin === "workflow",
    );
    const wanted = schedulesOf(workflow, at);
    const { add, revive, retire } = reconcileSchedules(
      known,
      wanted.map(({ id }) => id),
    );
    for (const schedule of wanted) if (add.includes(schedule.id)) this.#add(schedule);
    const by = `workflow ${workflow.hash}`;
    for (const [ids, status, kind] of [
      [revive, "active", "created"],
      [retire, "removed", "removed"],
    ] as const) {
      for (const one of known.filter(({ id }) => ids.includes(id))) {
        this.#set(one, status, at);
        this.#say(one.id, { at, kind, by, detail: null });
      }
    }
  }

  #add(schedule: Schedule): boolean {
    if (this.#all.has(schedule.id)) return false;
    this.#all.set(schedule.id, copy(schedule));
    const { createdAt: at, createdBy: by } = schedule;
    this.#say(schedule.id, { at, kind: "created", by, detail: null });
    return true;
  }

  #set(schedule: Schedule, status: Schedule["status"], at: number): Schedule {
    const moved =
      status === "active" ? { cursorAt: Math.max(schedule.cursorAt, at), nextAt: at } : { nextAt: null };
    const changed = { ...schedule, status, ...moved };
    this.#all.set(schedule.id, changed);
    return changed;
  }

  #say(id: string, event: Omit<ScheduleEvent, "seq">): void {
    const list = this.#events.get(id) ?? [];
    list.push({ seq: list.length + 1, ...event });
    this.#events.set(id, list);
  }

  #of(id: string): Map<number, Firing> {
    return this.#firings.get(id) ?? new Map<number, Firing>();
  }

  #isOpen(run: string | null): boolean {
    const known = run === null ? undefined : this.#state.byId.get(run);
    return known !== undefined && !hasRunEnded(known.status);
  }

  #forget(mine: Map<number, Firing>): void {
    for (const due of [...mine.keys()].sort((a, b) => b - a).slice(LIMITS.firingsKept + 1)) {
      const firing = mine.get(due);
      const settled = firing !== undefined && firing.state !== "due" && firing.state !== "starting";
      if (settled && !this.#isOpen(firing.run)) mine.delete(due);
    }
  }
}
