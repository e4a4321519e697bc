import type { InboxMessage, Posted, Posting, RunNo } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { hasRunEnded, type RunStatus } from "../../../domain/run.ts";
import { encode } from "../sql/encode.ts";
import { ALWAYS_FITS, type InboxRow, toMessage } from "../sql/messages.ts";
import type { Connection } from "./connection.ts";
import type { Lanes } from "./lanes.ts";
import type { Transaction } from "./transaction.ts";

export interface Inbox {
  /** Stores a message for the run named in it and wakes the run when it rests. */
  post(tx: Transaction, posting: Posting): Posted;
  /** Ids that are not there are ignored. */
  consume(tx: Transaction, no: RunNo, ids: readonly string[]): void;
  hasOpen(no: RunNo): boolean;
  clear(no: RunNo): void;
  open(no: RunNo): (InboxMessage & { readonly no: RunNo })[];
}

export function createInbox(connection: Connection, lanes: Lanes): Inbox {
  const target = connection.one<{ no: number; status: RunStatus }>("SELECT no, status FROM run WHERE id = ?");
  const known = connection.one("SELECT 1 FROM inbox WHERE run_no = ? AND id = ?");
  const size = connection.one<{ n: number }>(
    "SELECT count(*) AS n FROM (SELECT 1 FROM inbox WHERE run_no = ? AND consumed = 0 LIMIT ?)",
  );
  const insert = connection.run(
    "INSERT INTO inbox (ord, run_no, id, kind, name, body, sender, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const consume = connection.run("UPDATE inbox SET consumed = 1 WHERE run_no = ? AND id = ?");
  const anyOpen = connection.one("SELECT 1 FROM inbox WHERE run_no = ? AND consumed = 0 LIMIT 1");
  const clear = connection.run("DELETE FROM inbox WHERE run_no = ?");
  const open = connection.many<InboxRow>(
    `SELECT inbox.run_no AS no, inbox.ord, inbox.id, inbox.kind, inbox.name, inbox.body, inbox.sender, inbox.at, run.id AS run
     FROM inbox JOIN run ON run.no = inbox.run_no
     WHERE inbox.run_no = ? AND inbox.consumed = 0 ORDER BY inbox.ord`,
  );

  /** Unconsumed messages of a run, counted once a transaction: a batch of posts to one run stays linear. */
  const sizeOf = (tx: Transaction, no: RunNo): number => {
    const counted = tx.inboxSizes.get(no) ?? size(no, LIMITS.inboxPerRun)?.n ?? 0;
    tx.inboxSizes.set(no, counted);
    return counted;
  };

  return {
    post(tx, posting) {
      const run = target(posting.run);
      if (run === undefined) return "unknown_run";
      if (hasRunEnded(run.status)) return "run_ended";
      if (known(run.no, posting.id) !== undefined) return "duplicate";
      if (!ALWAYS_FITS.has(posting.kind)) {
        if (sizeOf(tx, run.no) >= LIMITS.inboxPerRun) return "inbox_full";
      }
      const { id, kind, name, from, at } = posting;
      insert(tx.add("arrival", 1), run.no, id, kind, name, encode(posting.body), from, at);
      const counted = tx.inboxSizes.get(run.no);
      if (counted !== undefined) tx.inboxSizes.set(run.no, counted + 1);
      const woken = lanes.wake(tx, run.no, kind === "cancel" ? "first" : "own");
      if (!woken && kind === "cancel") lanes.hurry(tx, run.no);
      tx.hint({ kind: "inbox", run: posting.run });
      return "accepted";
    },
    consume(tx, no, ids) {
      tx.inboxSizes.delete(no);
      for (const id of ids) consume(no, id);
    },
    hasOpen: (no) => anyOpen(no) !== undefined,
    clear: (no) => void clear(no),
    open: (no) => open(no).map(toMessage),
  };
}
