/** What a Prefer header (RFC 7240) asks for that is known here; what cannot be read is, as it says, passed over. */
export interface Preferences {
  /** Seconds, within `mostSeconds`; `null` when it was not asked for. */
  readonly waitSeconds: number | null;
  readonly respondAsync: boolean;
}

const WAIT = /^wait\s*=\s*"?(\d{1,9})"?$/;

export function readPrefer(header: string | undefined, mostSeconds: number): Preferences {
  const wishes = (header ?? "").split(",").map((wish) => (wish.split(";")[0] ?? "").trim().toLowerCase());
  // Of what is said twice, the first counts.
  const wait = wishes.map((wish) => WAIT.exec(wish)?.[1]).find((seconds) => seconds !== undefined);
  return {
    waitSeconds: wait === undefined ? null : Math.min(Number(wait), mostSeconds),
    respondAsync: wishes.includes("respond-async"),
  };
}
