import { storeFailure } from "./failures.ts";
import { Session, type SessionOptions } from "./session.ts";
import type { Rows, Statement, Value } from "./sql.ts";

/** A few connections that only read; each takes many questions at a time. Rejects with a `FailureError`. */
export class Reads {
  readonly #sessions: readonly Session[];
  #next = 0;

  constructor({ connections, ...options }: Omit<SessionOptions, "name"> & { readonly connections: number }) {
    this.#sessions = Array.from({ length: connections }, () => new Session({ ...options, name: "read" }));
  }

  get session(): Session {
    this.#next = (this.#next + 1) % this.#sessions.length;
    const session = this.#sessions[this.#next];
    if (session === undefined) throw new RangeError("no session");
    return session;
  }

  async many<Row>(asked: Statement, values: readonly Value[]): Promise<Rows<Row>> {
    const { session } = this;
    try {
      return await session.many<Row>(asked, values);
    } catch (error) {
      throw storeFailure(error, session.database);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
  }
}
