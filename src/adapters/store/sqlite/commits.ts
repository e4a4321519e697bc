import type { Commit, Committed } from "../../../contracts/run-store.ts";
import { failure } from "../../../domain/errors.ts";
import type { RunStatus } from "../../../domain/run.ts";
import { EntryRefused } from "../sql/encode.ts";
import type { Admit } from "./admissions.ts";
import type { Approvals } from "./approvals.ts";
import type { Connection } from "./connection.ts";
import type { End, Ending } from "./ends.ts";
import type { Inbox } from "./inbox.ts";
import type { Journal } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { Shares } from "./shares.ts";
import type { Transaction } from "./transaction.ts";

export type CommitOne = (tx: Transaction, entry: Commit, now: number) => Committed;

export interface CommitParts {
  readonly admit: Admit;
  readonly approvals: Approvals;
  readonly end: End;
  readonly inbox: Inbox;
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly shares: Shares;
}

interface Held {
  readonly status: RunStatus;
  readonly paused: number;
  readonly parent_id: string | null;
  readonly tenant: string;
  readonly priority: number;
}

export function createCommit(connection: Connection, parts: CommitParts): CommitOne {
  const held = connection.one<Held>(
    `SELECT run.status, run.paused, run.parent_id, run.tenant, run.priority FROM lease JOIN run ON run.no = lease.run_no
     WHERE lease.run_no = ? AND lease.token = ? AND run.id = ?`,
  );
  const start = connection.run("UPDATE run SET status = 'running', started_at = ? WHERE no = ?");
  const pause = connection.run("UPDATE run SET paused = ? WHERE no = ?");

  const writeSides = (tx: Transaction, entry: Commit, at: number): void => {
    const { no, run } = entry.claim;
    if (entry.consumed.length > 0) parts.inbox.consume(tx, no, entry.consumed);
    for (const child of entry.children) {
      if (child.request.parent?.run !== run) {
        throw new EntryRefused(failure("internal", `child ${child.id} does not name ${run} as its parent`));
      }
      const admitted = parts.admit(tx, child, false);
      if (admitted.kind === "refused") throw new EntryRefused(admitted.failure);
    }
    for (const approval of entry.approvals) parts.approvals.ask(no, at, approval);
    for (const closed of entry.closedApprovals) parts.approvals.closeOne(no, closed);
    for (const posting of entry.posts) parts.inbox.post(tx, posting);
  };

  const settle = (tx: Transaction, entry: Commit, from: Ending) => {
    const { no, next } = { no: from.no, next: entry.next };
    if (next.kind === "hold") return;
    parts.lanes.release(tx, no, { at: from.at, ended: next.kind === "end" });
    if (next.kind === "end") parts.end(tx, from, next);
    else if (next.kind === "rest" && !parts.inbox.hasOpen(no))
      parts.lanes.rest(no, next.wakeAt, next.waitingFor);
    else parts.lanes.enqueue(tx, no, "own");
  };

  return (tx, entry, now) => {
    const { no, run, token } = entry.claim;
    const row = held(no, token, run);
    if (row === undefined) return { kind: "fenced" };
    const at = entry.facts.at(-1)?.at ?? now;
    let { status } = row;
    const { tenant, priority, parent_id: parent } = row;
    parts.journal.append(no, token, entry.facts);
    if (entry.started && status === "queued") {
      start(at, no);
      tx.add("queued", -1);
      tx.add("running", 1);
      parts.shares.leave(row);
      status = "running";
    }
    if (entry.paused !== (row.paused === 1)) pause(entry.paused ? 1 : 0, no);
    writeSides(tx, entry, at);
    settle(tx, entry, { no, id: run, status, tenant, priority, parent, at });
    if (entry.facts.length > 0) tx.hint({ kind: "facts", run });
    return { kind: "ok" };
  };
}
