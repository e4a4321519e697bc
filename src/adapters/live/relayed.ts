import type { Clock } from "../../base/clock.ts";
import type { Live, LiveCursor, LiveEvent, LiveRelay } from "../../contracts/live.ts";
import type { Log } from "../../contracts/log.ts";
import { LIMITS } from "../../domain/limits.ts";

/** How often it is looked for events of other processes while somebody here reads. */
const RECEIVE_MS = 250;
/** How long events gather before they are sent. */
const SEND_MS = 100;
/** How often it is asked who else reads the runs that have something to say. */
const ASK_MS = 1_000;
/** A run that said nothing for so long is not asked about any more. */
const QUIET_MS = 10_000;

interface Parts {
  readonly local: Live;
  readonly relay: LiveRelay;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Live events within this process at once, and across processes through a relay: only of runs that somebody elsewhere
 * reads, in batches, and without anybody waiting for it.
 */
export class RelayedLive implements Live {
  readonly #parts: Parts;
  /** Runs that said something lately: when, and whether somebody elsewhere reads them. */
  readonly #talking = new Map<string, { at: number; watched: boolean }>();
  readonly #readers = new Map<string, Set<(event: LiveEvent) => void>>();
  readonly #cursors = new Map<string, LiveCursor>();
  #outbox: LiveEvent[] = [];
  #watchedUntil = 0;
  #loops = new Map<string, () => void>();
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  publish(event: LiveEvent): void {
    this.#parts.local.publish(event);
    if (this.#closed) return;
    const known = this.#talking.get(event.run);
    if (known) known.at = event.at;
    else this.#talking.set(event.run, { at: event.at, watched: false });
    this.#every("ask", known ? ASK_MS : 0, () => this.#ask());
    if (known?.watched !== true) return;
    if (this.#outbox.length >= LIMITS.liveBuffer) this.#outbox.shift();
    this.#outbox.push(event);
    this.#every("send", SEND_MS, () => this.#send());
  }

  subscribe(run: string, listener: (event: LiveEvent) => void): () => void {
    const leave = this.#parts.local.subscribe(run, listener);
    const readers = this.#readers.get(run) ?? new Set();
    if (readers.size === 0) this.#watchedUntil = 0;
    readers.add(listener);
    this.#readers.set(run, readers);
    this.#every("receive", 0, () => this.#receive());
    return () => {
      leave();
      readers.delete(listener);
      if (readers.size > 0 || this.#readers.get(run) !== readers) return;
      this.#readers.delete(run);
      this.#cursors.delete(run);
    };
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#loops.values()) stop();
    this.#loops.clear();
  }

  /** One turn of a loop after `ms`, unless it is on its way already; `work` says after how many ms it goes on, or `null`. */
  #every(name: string, ms: number, work: () => Promise<number | null>): void {
    if (this.#closed || this.#loops.has(name)) return;
    const stop = this.#parts.clock.after(ms, () => {
      void work()
        .catch((error: unknown) => {
          this.#parts.log.warn(
            { error: String(error) },
            "live events of other processes are not seen for a while",
          );
          return ASK_MS;
        })
        .then((next) => {
          this.#loops.delete(name);
          if (next !== null) this.#every(name, next, work);
        });
    });
    this.#loops.set(name, stop);
  }

  async #ask(): Promise<number | null> {
    const quietSince = this.#parts.clock.now() - QUIET_MS;
    for (const [run, { at }] of this.#talking) if (at < quietSince) this.#talking.delete(run);
    const runs = [...this.#talking.keys()];
    if (runs.length === 0) return null;
    const watched = await this.#parts.relay.watched(runs);
    for (const [run, state] of this.#talking) state.watched = watched.has(run);
    return ASK_MS;
  }

  async #send(): Promise<number | null> {
    const events = joined(this.#outbox);
    this.#outbox = [];
    if (events.length > 0) await this.#parts.relay.send(events);
    return this.#outbox.length > 0 ? SEND_MS : null;
  }

  async #receive(): Promise<number | null> {
    const runs = [...this.#readers.keys()];
    if (runs.length === 0) return null;
    const { relay, clock } = this.#parts;
    if (clock.now() >= this.#watchedUntil) {
      this.#watchedUntil = clock.now() + LIMITS.liveWatchMs / 2;
      for (const [run, cursor] of await relay.watch(runs)) {
        if (this.#readers.has(run) && !this.#cursors.has(run)) this.#cursors.set(run, cursor);
      }
    }
    for (const { event, cursor } of await relay.receive(this.#cursors)) {
      if (!this.#readers.has(event.run)) continue;
      this.#cursors.set(event.run, cursor);
      for (const listener of this.#readers.get(event.run) ?? []) listener(event);
    }
    return RECEIVE_MS;
  }
}

/** Text of one kind that follows text of the same kind is one event: a token each would be a row each. */
function joined(events: readonly LiveEvent[]): LiveEvent[] {
  const sent: LiveEvent[] = [];
  for (const event of events) {
    const last = sent.at(-1);
    if (last !== undefined && goesOn(last, event)) {
      const text = `${String(last.data.text)}${String(event.data.text)}`;
      sent[sent.length - 1] = { ...event, data: { ...event.data, text } };
    } else sent.push(event);
  }
  return sent;
}

function goesOn(last: LiveEvent, event: LiveEvent): boolean {
  if (last.run !== event.run || last.step !== event.step || last.name !== "delta" || event.name !== "delta")
    return false;
  const { text: a, ...about } = last.data;
  const { text: b, ...more } = event.data;
  return typeof a === "string" && typeof b === "string" && JSON.stringify(about) === JSON.stringify(more);
}
