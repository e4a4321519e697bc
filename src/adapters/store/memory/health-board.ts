import type { Clock } from "../../../base/clock.ts";
import type { HealthBoard } from "../../../contracts/health-board.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { SharedHealth } from "../../../domain/shared-health.ts";
import { HEALTH_KEPT_MS } from "../sql/health-row.ts";

/** The board of one process, and the measure of the others. */
export function createMemoryHealthBoard(clock: Pick<Clock, "now">): HealthBoard {
  const rows = new Map<string, SharedHealth>();
  const keyOf = (of: { readonly account: string; readonly model: string }) =>
    JSON.stringify([of.account, of.model]);
  const write = (row: SharedHealth): SharedHealth => {
    const written = { ...row, at: clock.now() };
    rows.set(keyOf(row), written);
    return written;
  };
  return {
    async read() {
      return [...rows.values()].toSorted((a, b) => b.at - a.at).slice(0, LIMITS.sharedModels);
    },
    async swap(changes) {
      for (const [key, { at }] of rows) if (at < clock.now() - HEALTH_KEPT_MS) rows.delete(key);
      return changes.map((row) => {
        const known = rows.get(keyOf(row));
        if (known === undefined) return write({ ...row, version: 1 });
        return known.version === row.version ? write({ ...row, version: row.version + 1 }) : null;
      });
    },
    async lease({ phase, by, ms, ...of }) {
      const known = rows.get(keyOf(of));
      const now = clock.now();
      if (known === undefined || known.phase !== phase || known.openUntil === null || known.openUntil > now)
        return null;
      if (known.probeUntil > now && known.probeBy !== by) return null;
      return write({ ...known, version: known.version + 1, probeBy: by, probeUntil: now + ms });
    },
  };
}
