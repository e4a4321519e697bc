import type { Clock } from "../../../base/clock.ts";
import type { RateAsk, RateLimitStore, RateTaken } from "../../../contracts/rate-limit-store.ts";
import { storeFailure } from "./failures.ts";
import type { Session } from "./session.ts";
import { statement } from "./sql.ts";

const TAKE = statement(
  "SELECT refused, retry_after_ms FROM take_rates($1::text[], $2::bigint[], $3::bigint[])",
);
/** Refusals remembered, so that a client that goes on knocking costs the database nothing. */
const MOST_REFUSALS = 10_000;

/**
 * Rates shared by all processes of one database, by its clock. A key's theoretical time only grows, so that a
 * refusal holds until its time has come, whatever others do: it is answered from memory until then.
 */
export function createPostgresRates(session: Session, clock: Pick<Clock, "now">): RateLimitStore {
  const refusedUntil = new Map<string, number>();
  return {
    async take(asks) {
      if (asks.length === 0) return { allowed: true };
      const known = stillRefused(asks, refusedUntil, clock.now());
      if (known !== null) return known;
      // In the order of their keys, so that two requests never wait for one another.
      const sorted = [...asks].sort((a, b) => (a.key < b.key ? -1 : 1));
      const [row] = await ask(session, [
        sorted.map(({ key }) => key),
        sorted.map(({ terms }) => terms.intervalUs),
        sorted.map(({ terms }) => terms.toleranceUs),
      ]);
      if (row === undefined || row.refused === null) return { allowed: true };
      const retryAfterMs = Number(row.retry_after_ms);
      if (refusedUntil.size >= MOST_REFUSALS) refusedUntil.clear();
      refusedUntil.set(termsKey(asks, row.refused), clock.now() + retryAfterMs);
      return { allowed: false, key: row.refused, retryAfterMs };
    },
  };
}

interface Row {
  readonly refused: string | null;
  readonly retry_after_ms: number | null;
}

async function ask(session: Session, values: Parameters<Session["many"]>[1]): Promise<readonly Row[]> {
  try {
    return await session.many<Row>(TAKE, values);
  } catch (error) {
    throw storeFailure(error, session.database);
  }
}

/** With its terms: when they change, what was said by the old ones is void. */
function termsKey(asks: readonly RateAsk[], key: string): string {
  const ask = asks.find((one) => one.key === key);
  return JSON.stringify([key, ask?.terms.intervalUs, ask?.terms.toleranceUs]);
}

function stillRefused(
  asks: readonly RateAsk[],
  refusedUntil: Map<string, number>,
  now: number,
): Extract<RateTaken, { allowed: false }> | null {
  for (const { key } of asks) {
    const known = termsKey(asks, key);
    const until = refusedUntil.get(known);
    if (until === undefined) continue;
    if (until > now) return { allowed: false, key, retryAfterMs: Math.ceil(until - now) };
    refusedUntil.delete(known);
  }
  return null;
}
