import { isJsonObject, type Json } from "../base/json.ts";
import type { FactBody, FactOf } from "./fact.ts";
import type { RunState } from "./state.ts";

/** What of a stored message the domain looks at. */
export interface Received {
  readonly id: string;
  readonly kind: "cancel" | "pause" | "resume" | "signal" | "message" | "approval" | "child" | "reply";
  readonly name: string;
  readonly body: Json;
  readonly from: string;
}

/** The facts that a message to a run stands for; none when it changes nothing (a second cancel, a late answer). Pure. */
export function absorb(state: RunState, message: Received): readonly FactBody[] {
  switch (message.kind) {
    case "cancel":
      return state.cancel
        ? []
        : [
            {
              kind: "cancel_requested",
              by: message.from,
              reason: textOf(message.body, "reason") ?? "canceled",
            },
          ];
    case "pause":
      return state.paused ? [] : [{ kind: "run_paused", by: message.from }];
    case "resume":
      return state.paused ? [{ kind: "run_unpaused", by: message.from }] : [];
    case "signal":
    case "message":
    case "reply":
      return [
        {
          kind: "signal_received",
          id: message.id,
          name: message.name,
          body: message.body,
          from: message.from,
        },
      ];
    case "approval":
      return answered(state, message);
    case "child":
      return childEnded(state, message);
  }
}

function answered(state: RunState, message: Received): readonly FactBody[] {
  const approval = state.approvals.get(message.name);
  const answer = textOf(message.body, "answer");
  if (approval?.answer !== null || (answer !== "approved" && answer !== "denied")) return [];
  const by = textOf(message.body, "by") ?? message.from;
  return [
    {
      kind: "approval_answered",
      approval: message.name,
      answer,
      by,
      comment: textOf(message.body, "comment") ?? "",
    },
  ];
}

/** What a store posts to the parent when a run ends. */
type ChildEnd = Omit<FactOf<"child_ended">, "kind">;

function childEnded(state: RunState, { body }: Received): readonly FactBody[] {
  const run = textOf(body, "run") ?? "";
  if (state.children.get(run)?.ended !== null) return [];
  const { status, output, failure } = body as unknown as ChildEnd;
  return [{ kind: "child_ended", run, status, output, failure }];
}

function textOf(body: Json, key: string): string | null {
  const value = isJsonObject(body) ? body[key] : undefined;
  return typeof value === "string" ? value : null;
}
