import type { CommitNext, RunNo } from "../../../contracts/run-store.ts";
import type { RunStatus } from "../../../domain/run.ts";
import { encode } from "../sql/encode.ts";
import { childEnded, parentEnded } from "../sql/messages.ts";
import type { Approvals } from "./approvals.ts";
import type { Bodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import type { Inbox } from "./inbox.ts";
import type { Shares } from "./shares.ts";
import type { Transaction } from "./transaction.ts";

/** An open run that is in no place any more. */
export interface Ending {
  readonly no: RunNo;
  readonly id: string;
  readonly status: RunStatus;
  readonly tenant: string;
  readonly priority: number;
  readonly parent: string | null;
  readonly at: number;
}

export type End = (tx: Transaction, run: Ending, next: Extract<CommitNext, { kind: "end" }>) => void;

interface Parts {
  readonly approvals: Approvals;
  readonly bodies: Bodies;
  readonly inbox: Inbox;
  readonly shares: Shares;
}

/** Ends a run: what it holds goes, its parent hears of it, its open children are asked to stop. */
export function createEnd(connection: Connection, parts: Parts): End {
  const end = connection.run(
    "UPDATE run SET status = ?, ended_at = ?, result = ?, result_blob = ? WHERE no = ?",
  );
  const openChildren = connection.many<{ id: string }>(
    "SELECT id FROM run WHERE parent_no = ? AND status IN ('queued', 'running') ORDER BY no",
  );
  return (tx, { no, id, status: from, tenant, priority, parent, at }, next) => {
    const { status, output, failure } = next;
    parts.inbox.clear(no);
    parts.approvals.withdrawAll(no);
    const result = parts.bodies.store(encode({ output, failure }));
    end(status, at, result.text, result.blob, no);
    if (from === "queued") parts.shares.leave({ tenant, priority });
    tx.add(from, -1);
    tx.add(status, 1);
    if (parent !== null) parts.inbox.post(tx, childEnded({ run: id, parent, at }, next));
    for (const child of openChildren(no)) {
      parts.inbox.post(tx, parentEnded({ run: id, child: child.id, at }, next));
    }
  };
}
