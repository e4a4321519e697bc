import type { Live, LiveEvent } from "../../contracts/live.ts";

type Listener = (event: LiveEvent) => void;

/** Live events within this process. */
export function createLive(): Live {
  const listeners = new Map<string, Set<Listener>>();
  return {
    publish(event) {
      for (const listener of listeners.get(event.run) ?? []) listener(event);
    },
    subscribe(run, listener) {
      const known = listeners.get(run) ?? new Set();
      known.add(listener);
      listeners.set(run, known);
      return () => {
        known.delete(listener);
        if (known.size === 0 && listeners.get(run) === known) listeners.delete(run);
      };
    },
  };
}
