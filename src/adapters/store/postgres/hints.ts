import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { newId } from "../../../base/id.ts";
import type { StoreHint } from "../../../contracts/run-store.ts";
import { Listeners } from "../sql/listeners.ts";
import { connect, type Session } from "./session.ts";
import { statement } from "./sql.ts";

export interface HintsOptions {
  readonly url: string;
  /** Of the reads: notifications are sent beside them, never with a write. */
  readonly session: Session;
  /** Notifications do not arrive (a pooler in transaction mode swallows them): waiting runs are looked for instead. */
  readonly onPolling: (why: string) => void;
}

const CHANNEL = "agent_runner";
/** Other processes are told at once, then of all that happens within this time together. */
const GATHER_MS = 5;
/** PostgreSQL takes 7,999 bytes. */
const PAYLOAD_BYTES = 7_500;
/** Notifications of one gathering; what does not fit is found by its reader's own poll. */
const MAX_PAYLOADS = 16;
const SELF_TEST_MS = 2_000;
const POLL_MS = 100;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 5_000;
/** How soon it is tried again whether notifications arrive. */
const RETEST_MS = 30_000;
const UNHEARD = "notifications do not arrive: is there a connection pooler in transaction mode?";

const NOTIFY = statement("SELECT pg_notify($1, $2)");
const ANY_READY = statement("SELECT true AS ready FROM ready LIMIT 1");

/** The wire: who said it, whether runs are ready, and the runs with new messages and new facts. */
interface Payload {
  readonly from: string;
  readonly ready?: boolean;
  readonly inbox?: readonly string[];
  readonly facts?: readonly string[];
}

function parse(text: string | undefined): Payload | null {
  try {
    const value = JSON.parse(text ?? "") as Payload;
    return typeof value?.from === "string" ? value : null;
  } catch {
    // Somebody else's notification on our channel.
    return null;
  }
}

/** Tells listeners what this process wrote, after it is durable, and tells and hears other processes. */
export class Hints {
  readonly #options: HintsOptions;
  readonly #listeners = new Listeners();
  readonly #me = newId("hnt", Date.now(), Math.random);
  readonly #waiting = { ready: false, inbox: new Set<string>(), facts: new Set<string>() };
  #gathering: NodeJS.Timeout | null = null;
  #saidReady = false;
  #sentAt = Number.NEGATIVE_INFINITY;
  #polling: NodeJS.Timeout | null = null;
  #client: pg.Client | null = null;
  #heard: (() => void) | null = null;
  #closed = false;
  readonly #ending = new AbortController();
  #reconnecting: Promise<void> | null = null;
  #sending: Promise<void> = Promise.resolve();
  mode: "notify" | "poll" = "poll";

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  /** Listens, and makes sure that what is said is heard. */
  async start(): Promise<void> {
    if (await this.#listen()) return;
    this.#options.onPolling(UNHEARD);
    this.#reconnecting = this.#reconnect(RETEST_MS);
  }

  watch(listener: (hint: StoreHint) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** To this process alone. */
  tell(hint: StoreHint): void {
    this.#listeners.tell(hint);
  }

  /** To this process and to all others. */
  publish(hints: readonly StoreHint[]): void {
    for (const hint of hints) {
      this.#listeners.tell(hint);
      if (hint.kind === "ready") this.#saidReady = this.#waiting.ready = true;
      else if (hint.kind === "inbox") this.#waiting.inbox.add(hint.run);
      else if (hint.kind === "facts") this.#waiting.facts.add(hint.run);
    }
    const { ready, inbox, facts } = this.#waiting;
    if (this.#gathering !== null || !(ready || inbox.size > 0 || facts.size > 0)) return;
    const wait = this.#sentAt + GATHER_MS - performance.now();
    if (wait <= 0) this.#sending = this.#send();
    else {
      this.#gathering = setTimeout(() => {
        this.#gathering = null;
        this.#sending = this.#send();
      }, wait);
    }
  }

  /** Whether this process told of ready runs since this was last asked. */
  saidReady(): boolean {
    const said = this.#saidReady;
    this.#saidReady = false;
    return said;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ending.abort();
    this.#listeners.clear();
    if (this.#gathering !== null) {
      clearTimeout(this.#gathering);
      this.#sending = this.#send();
    }
    await this.#sending;
    if (this.#polling !== null) clearInterval(this.#polling);
    const client = this.#client;
    this.#client = null;
    await client?.end();
    await this.#reconnecting;
  }

  async #send(): Promise<void> {
    this.#sentAt = performance.now();
    for (const payload of this.#payloads()) {
      try {
        await this.#options.session.many(NOTIFY, [CHANNEL, payload]);
      } catch {
        // A database that cannot be reached shows itself in the next verb; a hint lost costs a poll.
        return;
      }
    }
  }

  #payloads(): string[] {
    const { ready, inbox, facts } = this.#waiting;
    const all = [
      ...[...inbox].map((run) => ({ kind: "inbox", run }) as const),
      ...[...facts].map((run) => ({ kind: "facts", run }) as const),
    ];
    this.#waiting.ready = false;
    inbox.clear();
    facts.clear();
    const payloads: string[] = [];
    let first = ready;
    while ((all.length > 0 || first) && payloads.length < MAX_PAYLOADS) {
      const next = { from: this.#me, ready: first, inbox: [] as string[], facts: [] as string[] };
      first = false;
      let bytes = 0;
      for (let hint = all[0]; hint !== undefined; hint = all[0]) {
        bytes += Buffer.byteLength(JSON.stringify(hint.run)) + 1;
        if (bytes > PAYLOAD_BYTES) break;
        next[hint.kind].push(hint.run);
        all.shift();
      }
      // A name that fits no payload at all is its reader's to find.
      if (next.inbox.length + next.facts.length === 0) all.shift();
      payloads.push(JSON.stringify(next));
    }
    return payloads;
  }

  #hear(text: string | undefined): void {
    const payload = parse(text);
    if (payload === null) return;
    if (payload.from === this.#me) return this.#heard?.();
    if (payload.ready) this.#listeners.tell({ kind: "ready" });
    for (const run of payload.inbox ?? []) this.#listeners.tell({ kind: "inbox", run });
    for (const run of payload.facts ?? []) this.#listeners.tell({ kind: "facts", run });
  }

  /** True when a notification of our own came back. */
  async #listen(): Promise<boolean> {
    const client = await connect({ url: this.#options.url, name: "listen" });
    client.on("notification", ({ payload }) => this.#hear(payload));
    await client.query(`LISTEN ${CHANNEL}`);
    const heard = await this.#selfTest(client);
    if (!heard || this.#closed) {
      this.#poll();
      await client.end().catch(() => undefined);
      return heard;
    }
    this.#client = client;
    this.mode = "notify";
    if (this.#polling !== null) clearInterval(this.#polling);
    this.#polling = null;
    client.once("end", () => this.#lost(client));
    return true;
  }

  async #selfTest(client: pg.Client): Promise<boolean> {
    let late: NodeJS.Timeout | undefined;
    const heard = new Promise<boolean>((resolve, reject) => {
      this.#heard = () => resolve(true);
      // A connection that is gone has heard nothing, which says nothing about the next one.
      client.once("end", () => reject(new Error("the listening connection was lost")));
    });
    heard.catch(() => undefined);
    try {
      // By another connection: its own notifications a connection hears through any pooler.
      await this.#options.session.many(NOTIFY, [CHANNEL, JSON.stringify({ from: this.#me })]);
      const silent = new Promise<boolean>((resolve) => {
        late = setTimeout(() => resolve(false), SELF_TEST_MS);
      });
      return await Promise.race([heard, silent]);
    } finally {
      clearTimeout(late);
      this.#heard = null;
    }
  }

  #poll(): void {
    this.mode = "poll";
    if (this.#polling !== null || this.#closed) return;
    this.#polling = setInterval(async () => {
      if (this.#listeners.size === 0) return;
      try {
        const rows = await this.#options.session.many(ANY_READY, []);
        if (rows.length > 0) this.#listeners.tell({ kind: "ready" });
      } catch {
        // As in `#send`.
      }
    }, POLL_MS);
    this.#polling.unref();
  }

  #lost(client: pg.Client): void {
    if (this.#closed || this.#client !== client) return;
    this.#client = null;
    this.#poll();
    this.#reconnecting = this.#reconnect(FIRST_WAIT_MS);
  }

  async #reconnect(first: number): Promise<void> {
    let told = first === RETEST_MS;
    for (let wait = first; !this.#closed; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      await this.#pause(wait * (0.5 + Math.random()));
      if (this.#closed) return;
      try {
        if (await this.#listen()) {
          // Whatever was said meanwhile was not heard.
          this.#listeners.tell({ kind: "ready" });
          return;
        }
        if (!told) this.#options.onPolling(UNHEARD);
        told = true;
        wait = RETEST_MS;
      } catch {
        // Tried again; the verbs tell of a database that is gone.
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#ending;
    await sleep(ms, undefined, { ref: false, signal }).catch(() => undefined);
  }
}
