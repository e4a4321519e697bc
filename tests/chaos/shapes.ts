import type { RunRequest } from "../../src/domain/fact.ts";
import { request, step, workflow } from "../../src/domain/testing.suite.ts";
import type { Workflow } from "../../src/domain/workflow.ts";

const each = { items: "[1, 2, 3]", maxParallel: 3, failFast: false };

/** The shapes a run can have when the process dies under it. */
export const SHAPES: readonly Workflow[] = [
  {
    ...workflow([step("a", { uses: "effects" }), step("b", { uses: "effects", needs: ["a"] })]),
    name: "linear",
    hash: "linear",
  },
  {
    ...workflow([
      step("fan", { uses: "effects", foreach: each }),
      step("join", { uses: "noop", needs: ["fan"] }),
    ]),
    name: "fan-out",
    hash: "fan-out",
  },
  {
    ...workflow([
      step("nap", { uses: "nap" }),
      step("hear", { uses: "listen", needs: ["nap"] }),
      step("work", { uses: "effects", needs: ["hear"] }),
    ]),
    name: "waiting",
    hash: "waiting",
  },
  {
    ...workflow([step("spawn", { uses: "spawn" }), step("after", { uses: "effects", needs: ["spawn"] })]),
    name: "child",
    hash: "child",
  },
  {
    ...workflow([step("slow", { uses: "slow" }), step("never", { uses: "effects", needs: ["slow"] })]),
    name: "canceled",
    hash: "canceled",
  },
  { ...workflow([step("work", { uses: "effects" })]), name: "leaf", hash: "leaf" },
];

/** Stands still until the test opens the gate, then does what `effects` does. */
export const HELD: Workflow = {
  ...workflow([step("held", { uses: "held" }), step("after", { uses: "effects", needs: ["held"] })]),
  name: "held",
  hash: "held",
};
/** The gate, in the data folder: open when it is there. */
export const GATE = "gate";

export function requestFor(shape: Workflow): RunRequest {
  return request({ workflow: { name: shape.name, version: "1", hash: shape.hash } });
}
