import type { StoreHint } from "../../../contracts/run-store.ts";
import { Listeners } from "../sql/listeners.ts";
import type { Connection } from "./connection.ts";

export interface Hints {
  watch(listener: (hint: StoreHint) => void): () => void;
  publish(hints: readonly StoreHint[]): void;
  close(): void;
}

/** How soon another process's write is noticed; one look costs a few microseconds. */
const POLL_MS = 25;
/** Rows looked at after one change, newest first; a run that was missed is found by its reader's own poll. */
const MAX_FOREIGN = 1_000;

const distinct = (rows: readonly { readonly id: string }[]) => new Set(rows.map((row) => row.id));

/** Tells listeners what this process wrote, after it is durable, and that other processes wrote something. */
export function createHints(connection: Connection): Hints {
  const listeners = new Listeners();
  const tell = (hint: StoreHint) => listeners.tell(hint);
  // It changes when another connection commits, in this process or another; never by this connection's own commits.
  const version = connection.one<{ data_version: number }>("PRAGMA data_version");
  const arrivals = connection.one<{ value: number }>("SELECT value FROM counter WHERE name = 'arrival'");
  const lastFact = connection.one<{ id: number | null }>("SELECT max(id) AS id FROM journal");
  const inboxSince = connection.many<{ id: string }>(
    `SELECT run.id FROM inbox JOIN run ON run.no = inbox.run_no WHERE inbox.ord > ?
     ORDER BY inbox.ord DESC LIMIT ${MAX_FOREIGN}`,
  );
  const factsSince = connection.many<{ id: string }>(
    `SELECT run.id FROM journal JOIN run ON run.no = journal.run_no WHERE journal.id > ?
     ORDER BY journal.id DESC LIMIT ${MAX_FOREIGN}`,
  );

  let timer: NodeJS.Timeout | null = null;
  let seen = { version: 0, arrival: 0, fact: 0 };
  const look = () => ({
    version: version()?.data_version ?? 0,
    arrival: arrivals()?.value ?? 0,
    fact: lastFact()?.id ?? 0,
  });

  const poll = (): void => {
    let now: typeof seen;
    try {
      now = look();
    } catch {
      // A locked or failing database shows itself in the next verb; a hint lost costs a poll of the engine.
      return;
    }
    const before = seen;
    seen = now;
    if (now.version === before.version) return;
    tell({ kind: "ready" });
    for (const run of distinct(inboxSince(before.arrival))) tell({ kind: "inbox", run });
    for (const run of distinct(factsSince(before.fact))) tell({ kind: "facts", run });
  };

  const stop = (): void => {
    if (timer !== null) clearInterval(timer);
    timer = null;
  };

  return {
    watch(listener) {
      const remove = listeners.add(listener);
      if (timer === null) {
        seen = look();
        timer = setInterval(poll, POLL_MS);
        timer.unref();
      }
      return () => {
        remove();
        if (listeners.size === 0) stop();
      };
    },
    publish(hints) {
      if (listeners.size === 0) return;
      for (const hint of hints) tell(hint);
    },
    close() {
      stop();
      listeners.clear();
    },
  };
}
