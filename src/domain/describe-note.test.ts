import { describe, expect, it } from "vitest";
import { describeNote } from "./describe-note.ts";

const gate = { gate: "test", required: true, exit_code: 1, timed_out: false, ms: 1_250 };

describe("what a step's notes say to people", () => {
  it.each([
    [
      "workspace_ready",
      { branch: "agent/x", base_commit: "0123456789abcdef" },
      "branch agent/x, from 0123456789ab",
    ],
    ["turn_started", { turn: 3 }, "turn 3"],
    ["turn_finished", { turn: 3, calls: ["read", "edit"] }, "turn 3 finished: read, edit"],
    ["turn_finished", { turn: 4, calls: [] }, "turn 4 finished: no calls"],
    ["gate_finished", { ...gate, passed: true }, "gate test passed in 1.3s"],
    ["gate_finished", { ...gate, passed: false }, "gate test failed with exit code 1 in 1.3s"],
    [
      "gate_finished",
      { gate: "lint", passed: false, timed_out: true, required: false },
      "gate lint ran out of time (not required)",
    ],
    ["gates_absent", { root: "/x" }, "the repository has no gates"],
    ["gates_definition_changed", { file: "g.yaml" }, "the change touches g.yaml, which defines the gates"],
    ["gates_wrote", {}, "the gates wrote files, so they judge once more"],
    ["agent_warned", { text: "half of the turns are used" }, "warned: half of the turns are used"],
    ["budget_warned", { text: "the budget has passed $1.00" }, "budget: the budget has passed $1.00"],
    ["call_refused", { tool: "bash", reason: "no" }, "bash refused: no"],
    ["reply_heard", { from: "ada" }, "heard what ada said"],
    ["context_compacted", {}, "the history was compacted"],
    ["base_moved", { base: "main" }, "main has moved since"],
    ["message_fallback", { reason: "empty" }, "the commit message was made without a model: empty"],
    ["artifact_redacted", { artifact: "report.md" }, "secrets were kept out of report.md"],
    ["task_read", { by: "model", model: "a/b" }, "the task was read by a/b"],
    ["task_read", { by: "rules", reason: "too slow" }, "the task was read by rules: too slow"],
    ["something_else", {}, "something_else"],
    ["turn_started", {}, "turn null"],
  ])("%s", (name, data, line) => {
    expect(describeNote(name, data)).toBe(line);
  });
});
