import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../contracts/log.ts";
import type { Chore, Service } from "../../contracts/service.ts";

/** A chore in the background: again `everyMs` after it ended; a failed round is logged and does not end it. */
export function repeat(parts: { readonly clock: Clock; readonly log: Log }, chore: Chore): Service {
  let running = false;
  let cancel = () => {};
  let round: Promise<void> = Promise.resolve();
  const next = () => {
    if (!running) return;
    round = chore
      .runOnce()
      .catch((error) =>
        parts.log.warn({ service: chore.name, error: String(error) }, "a background round failed"),
      )
      .finally(() => {
        if (running) cancel = parts.clock.after(chore.everyMs, next);
      });
  };
  return {
    name: chore.name,
    start() {
      if (running) return;
      running = true;
      next();
    },
    async stop() {
      running = false;
      cancel();
      await round;
    },
    runOnce: () => chore.runOnce(),
  };
}
