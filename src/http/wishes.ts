import type { StartRun } from "../operations/runs/start-run.ts";

interface Asked {
  readonly title?: string | undefined;
  readonly deadline?: string | undefined;
  readonly start_by?: string | undefined;
  readonly class?: string | undefined;
  readonly priority?: number | undefined;
}

/** What a request says of how it is to be run, without what it leaves open. */
export function wishesIn(
  asked: Asked,
): Pick<StartRun, "title" | "deadline" | "startBy" | "class" | "priority"> {
  const { title, deadline, start_by: startBy, class: name, priority } = asked;
  return {
    ...(title === undefined ? {} : { title }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(startBy === undefined ? {} : { startBy }),
    ...(name === undefined ? {} : { class: name }),
    ...(priority === undefined ? {} : { priority }),
  };
}
