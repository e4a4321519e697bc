import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Failure, failure } from "../../../domain/errors.ts";
import { CapturedOutput } from "./captured-output.ts";
import { within } from "./within.ts";

/** After the end of a command its pipes may be held open by a process that escaped; silence this long ends the wait. */
const DRAIN_IDLE_MS = 250;
const DRAIN_MAX_MS = 5_000;
/** A command that prints without end must not take the server's whole attention: it reads this much, then rests. */
const BURST_BYTES = 1_048_576;
const REST_MS = 5;

/** Both output streams of one command, read as they come. */
export class OutputPipes {
  readonly stdout: CapturedOutput;
  readonly stderr: CapturedOutput;
  readonly #onOutput: ((chunk: string) => void) | undefined;
  readonly #streams: Readable[] = [];
  readonly #closed: Promise<unknown>[] = [];
  #bytes = 0;
  #callbackFailure: Failure | null = null;

  constructor(maxBytes: number, onOutput: ((chunk: string) => void) | undefined) {
    this.stdout = new CapturedOutput(maxBytes);
    this.stderr = new CapturedOutput(maxBytes);
    this.#onOutput = onOutput;
  }

  /** Set once `onOutput` threw, which must not reach the event loop; it is not called again. */
  get callbackFailure(): Failure | null {
    return this.#callbackFailure;
  }

  /** Standard output and standard error, as far as they are there. */
  attach(streams: readonly [Readable | null | undefined, Readable | null | undefined]): void {
    if (streams[0]) this.#read(streams[0], this.stdout);
    if (streams[1]) this.#read(streams[1], this.stderr);
  }

  /** Resolves when both streams ended, or when whoever still holds them has fallen silent. */
  async drained(): Promise<void> {
    const allClosed = Promise.all(this.#closed);
    const until = performance.now() + DRAIN_MAX_MS;
    for (;;) {
      const before = this.#bytes;
      if (await within(DRAIN_IDLE_MS, allClosed)) return;
      // After a stall of the event loop the clock is ahead of the pipes: give them one turn to catch up.
      await nextTurn();
      if (this.#bytes === before || performance.now() >= until) break;
    }
    for (const stream of this.#streams) stream.destroy();
  }

  #read(stream: Readable, into: CapturedOutput): void {
    const decoder = new StringDecoder("utf8");
    let burst = 0;
    this.#streams.push(stream);
    this.#closed.push(new Promise((resolve) => stream.once("close", resolve)));
    // A read error (the pipe broke) is followed by "close", and what was read so far stands.
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
      into.add(chunk);
      if (this.#onOutput !== undefined) this.#report(decoder.write(chunk));
      burst += chunk.length;
      if (burst < BURST_BYTES) return;
      burst = 0;
      stream.pause();
      setTimeout(() => stream.resume(), REST_MS);
    });
  }

  #report(text: string): void {
    if (text === "" || this.#callbackFailure !== null) return;
    try {
      this.#onOutput?.(text);
    } catch (error) {
      this.#callbackFailure = failure("internal", `The reader of a command's output threw: ${String(error)}`);
    }
  }
}
