import { Reads } from "./reads.ts";
import { Session, type SessionOptions } from "./session.ts";

/** Connections of one process to the database. */
export const CONNECTIONS = {
  /**
   * Each of these is kept for one thing, since that thing is the connection's own state: notifications arrive on the one
   * that listens, a lead lasts as long as the one that holds its lock, and a worker's beats come from a thread of their
   * own, which nothing that the process does can hold up.
   */
  fixed: ["listen", "leader", "beat"],
  /** The fixed ones, one that writes and one that reads. */
  least: 5,
  usual: 12,
  most: 64,
} as const;

/** What writes, in the order in which it gets a connection of its own; those that get none share the last one. */
const WRITERS = ["commits", "claims", "doors", "spend", "live"] as const;
type Writer = (typeof WRITERS)[number];

/** What each further connection is for; all after these read. */
const ORDER = ["write", "read", "write", "read", "write", "read", "write", "rates", "write"] as const;

export interface Connections extends Readonly<Record<Writer, Session>> {
  /** Shared with what reads when there are few: its one statement may not run within somebody's transaction. */
  readonly rates: Session;
  readonly reads: Reads;
  /** What is not closed with the run store. */
  closeRest(): Promise<void>;
}

/** All that are not fixed, `connections` of a process in all; each is made when it is first needed. */
export function openConnections(
  options: Pick<SessionOptions, "url" | "patienceMs"> & { readonly connections: number },
): Connections {
  const { url, patienceMs } = options;
  const left = options.connections - CONNECTIONS.fixed.length;
  const given = ORDER.slice(0, left);
  const count = (what: (typeof ORDER)[number]) => given.filter((one) => one === what).length;
  const writes = count("write");
  const shared = WRITERS.slice(writes - 1).join("+");
  const sessions = WRITERS.slice(0, writes).map((role, index) => {
    const name = index === writes - 1 ? shared : role;
    return new Session({ url, name, patienceMs, writes: true });
  });
  const writer = (role: Writer): Session => {
    const session = sessions[Math.min(WRITERS.indexOf(role), sessions.length - 1)];
    if (session === undefined) throw new RangeError(`${options.connections} connections are too few`);
    return session;
  };
  const reads = new Reads({ url, patienceMs, connections: count("read") + Math.max(0, left - ORDER.length) });
  const rates = count("rates") > 0 ? new Session({ url, name: "rates", patienceMs }) : reads.session;
  return {
    commits: writer("commits"),
    claims: writer("claims"),
    doors: writer("doors"),
    spend: writer("spend"),
    live: writer("live"),
    rates,
    reads,
    async closeRest() {
      await Promise.all([writer("spend"), writer("live"), rates].map((session) => session.close()));
    },
  };
}
