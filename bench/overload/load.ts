import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface Answer {
  /** Second of the load in which it was to be sent. */
  readonly second: number;
  readonly status: number;
  /** From when it was to be sent, not from when it was: a slow server cannot hide behind a slow client. */
  readonly ms: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

const SOCKETS = 1_000;
const TICK_MS = 2;
const TIMEOUT_MS = 30_000;
const CLASSES = ["urgent", "normal", "normal", "normal", "batch"] as const;

/** A client with connections that are kept. */
export class LoadClient {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  ask(
    method: string,
    path: string,
    body?: object,
    headers: object = {},
  ): Promise<Omit<Answer, "second" | "ms">> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve) => {
      const failed = (error: Error) => resolve({ status: 0, retryAfter: undefined, body: error.message });
      const sent = request(
        {
          agent: this.#agent,
          host: this.#url.hostname,
          port: this.#url.port,
          method,
          path,
          timeout: TIMEOUT_MS,
          headers: {
            ...headers,
            ...(payload === undefined
              ? {}
              : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
          },
        },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8");
          answer.on("data", (chunk: string) => {
            text += chunk;
          });
          answer.on("end", () => {
            const retryAfter = answer.headers["retry-after"];
            resolve({ status: answer.statusCode ?? 0, retryAfter, body: text });
          });
          answer.on("error", failed);
        },
      );
      sent.on("timeout", () => sent.destroy(new Error("no answer")));
      sent.on("error", failed);
      sent.end(payload);
    });
  }

  /** Starts runs at an even rate, whether or not they are answered: an open loop. */
  async offer(of: {
    readonly perSecond: number;
    readonly seconds: number;
    /** What is sent; `n` counts from 0. */
    readonly body?: (n: number) => object;
  }): Promise<readonly Answer[]> {
    const body =
      of.body ?? ((n) => ({ workflow: "overload", class: CLASSES[n % CLASSES.length] ?? "normal" }));
    const total = Math.round(of.perSecond * of.seconds);
    const begun = performance.now();
    const answers: Promise<Answer>[] = [];
    while (answers.length < total) {
      const due = Math.min(total, Math.floor(((performance.now() - begun) * of.perSecond) / 1_000) + 1);
      while (answers.length < due) {
        const n = answers.length;
        const intended = begun + (n * 1_000) / of.perSecond;
        answers.push(
          this.ask("POST", "/runs", body(n)).then((answer) => ({
            ...answer,
            second: Math.floor((intended - begun) / 1_000),
            ms: performance.now() - intended,
          })),
        );
      }
      await sleep(TICK_MS);
    }
    return Promise.all(answers);
  }

  /** Runs one after the other in so many lanes, each waited for: what the server can do. Ended runs a second. */
  async capacity(of: { readonly lanes: number; readonly seconds: number }): Promise<number> {
    const end = performance.now() + of.seconds * 1_000;
    let done = 0;
    const lane = async () => {
      while (performance.now() < end) {
        const body = { workflow: "overload", class: "batch" };
        const answer = await this.ask("POST", "/v1/act", body, { prefer: "wait=30" });
        if (answer.status !== 200) throw new Error(`measuring the capacity: ${answer.status} ${answer.body}`);
        if (performance.now() < end) done += 1;
      }
    };
    await Promise.all(Array.from({ length: of.lanes }, lane));
    return done / of.seconds;
  }

  close(): void {
    this.#agent.destroy();
  }
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}
