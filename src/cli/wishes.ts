import type { JsonObject } from "../base/json.ts";

/** How a run is to be run, as options say it. */
interface Wishes {
  readonly title?: string;
  readonly deadline?: string;
  readonly startBy?: string;
  readonly class?: string;
  readonly priority?: number;
  /** US dollars, as written. */
  readonly budget?: string;
}

/** As fields of a request, without what was left open. */
export function wishesOf({ title, deadline, startBy, class: name, priority, budget }: Wishes): JsonObject {
  return {
    ...(title === undefined ? {} : { title }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(startBy === undefined ? {} : { start_by: startBy }),
    ...(name === undefined ? {} : { class: name }),
    ...(priority === undefined ? {} : { priority }),
    ...(budget === undefined ? {} : { budget: { cost: budget } }),
  };
}
