/** Who stands for a duty. */
export interface Candidate {
  /** A member's id. */
  readonly member: string;
  readonly host: string;
  readonly pid: number;
  /** Tells a reused pid from the old process; "" where the system has no such thing. */
  readonly processStart: string;
}

/** A duty that this process has, and no other at the same time. */
export interface Lead {
  readonly duty: string;
  /** Greater than that of every lead of the duty before. */
  readonly term: number;
  /** Whether it is still sure at this very moment. Once false, false for ever. */
  held(): boolean;
  /** Keeps it for another while; false when it is lost. Rejects with a `FailureError` when nobody can tell. */
  renew(): Promise<boolean>;
  /** Gives it up, so that another can have it at once. */
  resign(): Promise<void>;
}

/**
 * Duties that one process at a time has. A lead is kept by renewing it well within `LIMITS.leadTtlMs`; one whose
 * process is surely gone from this host is free at once.
 */
export interface Leaders {
  /** One try: `null` while another leads. Rejects with a `FailureError` when the store as a whole failed. */
  stand(duty: string, candidate: Candidate): Promise<Lead | null>;
  /** Who leads now. */
  leading(): Promise<readonly { readonly duty: string; readonly member: string; readonly term: number }[]>;
}
