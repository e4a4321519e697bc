import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../contracts/log.ts";
import type { Service } from "../../contracts/service.ts";

/** A background round that runs again `everyMs` after it ended; a failed round is logged and does not end it. */
export function repeat(
  parts: { readonly clock: Clock; readonly log: Log },
  service: { readonly name: string; readonly everyMs: number; readonly runOnce: () => Promise<void> },
): Service {
  let running = false;
  let cancel = () => {};
  let round: Promise<void> = Promise.resolve();
  const next = () => {
    if (!running) return;
    round = service
      .runOnce()
      .catch((error) =>
        parts.log.warn({ service: service.name, error: String(error) }, "a background round failed"),
      )
      .finally(() => {
        if (running) cancel = parts.clock.after(service.everyMs, next);
      });
  };
  return {
    name: service.name,
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
    runOnce: () => service.runOnce(),
  };
}
