import type { Commit, CommitNext, Committed } from "../../../contracts/run-store.ts";
import { failure } from "../../../domain/errors.ts";
import type { RunStatus } from "../../../domain/run.ts";
import { EntryRefused, encode } from "../sql/encode.ts";
import { childEnded, parentEnded } from "../sql/messages.ts";
import type { Admit } from "./admissions.ts";
import type { Approvals } from "./approvals.ts";
import type { Bodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import type { Inbox } from "./inbox.ts";
import type { Journal } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { Transaction } from "./transaction.ts";

export type CommitOne = (tx: Transaction, entry: Commit, now: number) => Committed;

export interface CommitParts {
  readonly admit: Admit;
  readonly approvals: Approvals;
  readonly bodies: Bodies;
  readonly inbox: Inbox;
  readonly journal: Journal;
  readonly lanes: Lanes;
}

interface Held {
  readonly status: RunStatus;
  readonly paused: number;
  readonly parent_id: string | null;
}

type End = Extract<CommitNext, { kind: "end" }>;

/** Ends a run: what it holds goes, its parent hears of it, its open children are asked to stop. */
function createEnd(connection: Connection, parts: CommitParts) {
  const end = connection.run(
    "UPDATE run SET status = ?, ended_at = ?, result = ?, result_blob = ? WHERE no = ?",
  );
  const openChildren = connection.many<{ id: string }>(
    "SELECT id FROM run WHERE parent_no = ? AND status IN ('queued', 'running') ORDER BY no",
  );
  return (
    tx: Transaction,
    entry: Commit,
    next: End,
    from: { status: RunStatus; parent: string | null; at: number },
  ) => {
    const { no, run } = entry.claim;
    const { status, output, failure: why } = next;
    parts.lanes.release(no);
    parts.inbox.clear(no);
    parts.approvals.withdrawAll(no);
    const result = parts.bodies.store(encode({ output, failure: why }));
    end(status, from.at, result.text, result.blob, no);
    tx.add(from.status, -1);
    tx.add(status, 1);
    const { at } = from;
    if (from.parent !== null) parts.inbox.post(tx, childEnded({ run, parent: from.parent, at }, next));
    for (const child of openChildren(no))
      parts.inbox.post(tx, parentEnded({ run, child: child.id, at }, next));
  };
}

export function createCommit(connection: Connection, parts: CommitParts): CommitOne {
  const held = connection.one<Held>(
    `SELECT run.status, run.paused, run.parent_id FROM lease JOIN run ON run.no = lease.run_no
     WHERE lease.run_no = ? AND lease.token = ? AND run.id = ?`,
  );
  const start = connection.run("UPDATE run SET status = 'running', started_at = ? WHERE no = ?");
  const pause = connection.run("UPDATE run SET paused = ? WHERE no = ?");
  const end = createEnd(connection, parts);

  const writeSides = (tx: Transaction, entry: Commit, at: number): void => {
    const { no, run } = entry.claim;
    if (entry.consumed.length > 0) parts.inbox.consume(tx, no, entry.consumed);
    for (const child of entry.children) {
      if (child.request.parent?.run !== run) {
        throw new EntryRefused(failure("internal", `child ${child.id} does not name ${run} as its parent`));
      }
      const admitted = parts.admit(tx, child);
      if (admitted.kind === "refused") throw new EntryRefused(admitted.failure);
    }
    for (const approval of entry.approvals) parts.approvals.ask(no, at, approval);
    for (const closed of entry.closedApprovals) parts.approvals.closeOne(no, closed);
    for (const posting of entry.posts) parts.inbox.post(tx, posting);
  };

  const settle = (
    tx: Transaction,
    entry: Commit,
    from: { status: RunStatus; parent: string | null; at: number },
  ) => {
    const { no } = entry.claim;
    const { next } = entry;
    if (next.kind === "end") return end(tx, entry, next, from);
    if (next.kind === "hold") return;
    parts.lanes.release(no);
    if (next.kind === "rest" && !parts.inbox.hasOpen(no)) parts.lanes.rest(no, next.wakeAt, next.waitingFor);
    else parts.lanes.enqueue(tx, no, "own");
  };

  return (tx, entry, now) => {
    const { no, run, token } = entry.claim;
    const row = held(no, token, run);
    if (row === undefined) return { kind: "fenced" };
    const at = entry.facts.at(-1)?.at ?? now;
    let { status } = row;
    parts.journal.append(no, token, entry.facts);
    if (entry.started && status === "queued") {
      start(at, no);
      tx.add("queued", -1);
      tx.add("running", 1);
      status = "running";
    }
    if (entry.paused !== (row.paused === 1)) pause(entry.paused ? 1 : 0, no);
    writeSides(tx, entry, at);
    settle(tx, entry, { status, parent: row.parent_id, at });
    if (entry.facts.length > 0) tx.hint({ kind: "facts", run });
    return { kind: "ok" };
  };
}
