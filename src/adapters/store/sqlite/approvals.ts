import type { Answered, Commit, RunNo } from "../../../contracts/run-store.ts";
import type { Answer } from "../sql/approval-row.ts";
import { encode } from "../sql/encode.ts";
import type { Connection } from "./connection.ts";

export interface Approvals {
  ask(no: RunNo, at: number, asked: Commit["approvals"][number]): void;
  /** Nothing happens to one that has its answer already, or is another run's. */
  closeOne(no: RunNo, closed: Commit["closedApprovals"][number]): void;
  withdrawAll(no: RunNo): void;
  /** The run that asked, when this is the first answer. */
  answer(answer: Answer): { readonly run: string } | Exclude<Answered, "accepted">;
}

export function createApprovals(connection: Connection): Approvals {
  const insert = connection.run(
    `INSERT INTO approval (id, run_no, step, title, details, risk, expires_at, requested_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const closeOne = connection.run(
    "UPDATE approval SET status = ? WHERE id = ? AND run_no = ? AND status = 'pending'",
  );
  const withdrawAll = connection.run(
    "UPDATE approval SET status = 'withdrawn' WHERE run_no = ? AND status = 'pending'",
  );
  const answerOne = connection.run(
    `UPDATE approval SET status = ?, answered_at = ?, answered_by = ?, comment = ?
     WHERE id = ? AND status = 'pending' AND (expires_at IS NULL OR expires_at > ?)`,
  );
  const pending = connection.one("SELECT 1 FROM approval WHERE id = ? AND status = 'pending'");
  const runOf = connection.one<{ run: string }>(
    "SELECT run.id AS run FROM approval JOIN run ON run.no = approval.run_no WHERE approval.id = ?",
  );
  return {
    ask(no, at, { step, request }) {
      const { id, title, details, risk, expiresAt } = request;
      insert(id, no, step, title, encode(details), risk, expiresAt, at);
    },
    closeOne: (no, closed) => void closeOne(closed.status, closed.id, no),
    withdrawAll: (no) => void withdrawAll(no),
    answer({ approval, answer, by, comment, at }) {
      const run = runOf(approval);
      if (run === undefined) return "not_found";
      if (answerOne(answer, at, by, comment, approval, at) > 0) return run;
      return pending(approval) === undefined ? "already_answered" : "expired";
    },
  };
}
