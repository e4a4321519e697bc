import type { CommitNext, InboxMessage, Posting, RunNo } from "../../../contracts/run-store.ts";
import { supersededReason } from "../../../domain/queue.ts";

/** The house's own messages always fit: without them a run would wait for ever, or could not be stopped. */
export const ALWAYS_FITS: ReadonlySet<Posting["kind"]> = new Set(["cancel", "approval", "child"]);

type End = Extract<CommitNext, { kind: "end" }>;

/** What a parent is told of its child's end. */
export function childEnded(of: { run: string; parent: string; at: number }, end: End): Posting {
  const { run, parent, at } = of;
  const { status, output, failure: why } = end;
  const body = { run, status, output, failure: why === null ? null : { ...why } };
  return { run: parent, id: `child:${run}`, kind: "child", name: run, body, from: `run:${run}`, at };
}

/** What an open child is told of its parent's end. */
export function parentEnded(of: { run: string; child: string; at: number }, end: End): Posting {
  const { run, child, at } = of;
  const body = { reason: `its parent run ${run} has ended (${end.status})` };
  const named = { run: child, id: `parent_ended:${run}`, kind: "cancel", name: "cancel" } as const;
  return { ...named, body, from: `run:${run}`, at };
}

/** What an older run of a slot is told when a newer one takes its place. */
export function superseded(of: { run: string; by: string; key: string; at: number }): Posting {
  const { run, by, key, at } = of;
  const body = { reason: supersededReason(by, key) };
  return { run, id: `superseded:${by}`, kind: "cancel", name: "cancel", body, from: `run:${by}`, at };
}

export interface InboxRow {
  readonly no: RunNo;
  readonly ord: number;
  readonly id: string;
  readonly kind: Posting["kind"];
  readonly name: string;
  readonly body: string;
  readonly sender: string;
  readonly at: number;
  readonly run: string;
}

export function toMessage(row: InboxRow): InboxMessage & { readonly no: RunNo } {
  const { no, run, id, kind, name, at } = row;
  return { no, run, id, kind, name, body: JSON.parse(row.body), from: row.sender, at, order: row.ord };
}
