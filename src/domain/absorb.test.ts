import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { absorb, type Received } from "./absorb.ts";
import { fold } from "./evolve.ts";
import type { FactBody } from "./fact.ts";
import { Bench, step, workflow } from "./testing.suite.ts";

function received(kind: Received["kind"], more: Partial<Received> = {}): Received {
  return { id: "msg_1", kind, name: kind, body: {}, from: "ann", ...more };
}

/** A run with a step under way, an open approval `apr_1` and an open child `run_2`. */
function underWay(): Bench {
  const run = new Bench(workflow([step("a")]));
  run.go();
  const approval = { id: "apr_1", title: "?", details: null, risk: "low" as const, expiresAt: null };
  run.add([
    { kind: "approval_requested", step: "a", approval },
    { kind: "child_started", step: "a", key: "1/k", run: "run_2", workflow: "w" },
  ]);
  return run;
}

const childEnd = { run: "run_2", status: "failed", output: null, failure: null };
const approved = { answer: "approved", by: "bob", comment: "fine" };

const MESSAGES: readonly { readonly message: Received; readonly facts: readonly FactBody[] }[] = [
  {
    message: received("cancel", { body: { reason: "enough" } }),
    facts: [{ kind: "cancel_requested", by: "ann", reason: "enough" }],
  },
  { message: received("cancel"), facts: [{ kind: "cancel_requested", by: "ann", reason: "canceled" }] },
  {
    message: received("cancel", { body: "because" }),
    facts: [{ kind: "cancel_requested", by: "ann", reason: "canceled" }],
  },
  { message: received("pause"), facts: [{ kind: "run_paused", by: "ann" }] },
  { message: received("resume"), facts: [] },
  ...(["signal", "message", "reply"] as const).map((kind) => ({
    message: received(kind, { name: "go", body: [1] }),
    facts: [{ kind: "signal_received" as const, id: "msg_1", name: "go", body: [1], from: "ann" }],
  })),
  {
    message: received("approval", { name: "apr_1", body: approved }),
    facts: [{ kind: "approval_answered", approval: "apr_1", answer: "approved", by: "bob", comment: "fine" }],
  },
  {
    message: received("approval", { name: "apr_1", body: { answer: "denied" } }),
    facts: [{ kind: "approval_answered", approval: "apr_1", answer: "denied", by: "ann", comment: "" }],
  },
  { message: received("approval", { name: "apr_1", body: { answer: "perhaps" } }), facts: [] },
  { message: received("approval", { name: "apr_9", body: approved }), facts: [] },
  {
    message: received("child", { name: "run_2", body: childEnd }),
    facts: [{ kind: "child_ended", run: "run_2", status: "failed", output: null, failure: null }],
  },
  { message: received("child", { name: "run_9", body: { ...childEnd, run: "run_9" } }), facts: [] },
  { message: received("child", { name: "run_2", body: null }), facts: [] },
];

describe("absorb", () => {
  it.each(MESSAGES)("a message $message.kind $message.body stands for $facts", ({ message, facts }) => {
    expect(absorb(underWay().state, message)).toEqual(facts);
  });

  it("lets a paused run go on once", () => {
    const run = underWay();
    run.add([{ kind: "run_paused", by: "ann" }]);
    expect(absorb(run.state, received("resume"))).toEqual([{ kind: "run_unpaused", by: "ann" }]);
    run.add(absorb(run.state, received("resume")));
    expect(absorb(run.state, received("resume"))).toEqual([]);
  });

  it("finds nothing new in a message that has been taken, whatever came between; only signals count twice", () => {
    const any = fc.constantFrom(...MESSAGES.map(({ message }) => message));
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 12 }), (messages) => {
        const run = underWay();
        for (const message of messages) run.add(absorb(run.state, message));
        for (const message of messages) {
          if (["signal", "message", "reply", "pause", "resume"].includes(message.kind)) continue;
          expect(absorb(run.state, message)).toEqual([]);
        }
        expect(fold(run.facts)).toEqual(run.state);
      }),
    );
  });
});
