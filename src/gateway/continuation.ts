import { clip } from "../base/text.ts";
import type { GatewayCallOptions, GatewayRequest } from "../contracts/model-gateway.ts";
import type { ModelReply } from "../contracts/model-provider.ts";

type Delta = Parameters<NonNullable<GatewayCallOptions["onDelta"]>>[0];

/** So much of the next part is held back until it is known whether it repeats what was said. */
const HELD_CHARS = 240;
/** A shorter match may be chance: many sentences end as others begin. */
const LEAST_OVERLAP = 12;
/** Of what was said, shown again for the model to go on from. */
const SHOWN_CHARS = 100_000;

const GO_ON = `Your answer above was cut off by a broken connection. Go on exactly where it ends, in the middle of a word if need be.
Repeat nothing of it, do not comment on it, and do not begin anew.`;

/** The text of one answer over several attempts, of which each went on where the one before broke off. */
export class Continuation {
  readonly #emit: (delta: Delta) => void;
  #said = "";
  /** What came of the part under way and is not told yet; `null` once it is known not to repeat anything. */
  #held: string | null = null;
  #part = "";
  #more = false;
  /** How often it was gone on with. */
  count = 0;

  constructor(emit: (delta: Delta) => void) {
    this.#emit = emit;
  }

  /** Only plain text can be gone on with: half a tool call is no beginning. */
  get possible(): boolean {
    return !this.#more && (this.#said + this.#part).trim() !== "";
  }

  hear(delta: Delta): void {
    if (delta.kind === "tool") this.#more = true;
    if (delta.kind !== "text") return this.#emit(delta);
    this.#part += delta.text;
    if (this.#held === null) return this.#emit(delta);
    this.#held += delta.text;
    const undecided = this.#held.length < HELD_CHARS || this.#said.startsWith(this.#held);
    if (!undecided) this.#release();
  }

  /** The attempt broke off: the next one goes on. */
  goOn(): void {
    this.#settle();
    this.#held = "";
    this.count += 1;
  }

  /** The attempt broke off and the next one begins anew. */
  beginAnew(): void {
    this.#said = "";
    this.#part = "";
    this.#held = null;
    this.#more = false;
  }

  request(asked: GatewayRequest): GatewayRequest {
    if (this.count === 0 || this.#said === "") return asked;
    const text = clip(this.#said, SHOWN_CHARS).text;
    return {
      ...asked,
      messages: [
        ...asked.messages,
        { role: "assistant", text, toolCalls: [] },
        { role: "user", text: GO_ON },
      ],
    };
  }

  /** The whole answer, of which `reply` is the last part. */
  whole(reply: ModelReply): ModelReply {
    if (this.count === 0 || this.#said === "") return reply;
    if (this.#held !== null) this.#release();
    // Marks of the provider belong to the last part alone, and would not fit the whole.
    const { providerData: _, ...rest } = reply;
    return { ...rest, text: this.#said + withoutRepetition(this.#said, reply.text) };
  }

  #release(): void {
    const fresh = withoutRepetition(this.#said, this.#held ?? "");
    this.#held = null;
    if (fresh !== "") this.#emit({ kind: "text", text: fresh });
  }

  #settle(): void {
    if (this.#held !== null) this.#release();
    this.#said += this.#said === "" ? this.#part : withoutRepetition(this.#said, this.#part);
    this.#part = "";
  }
}

/** What `next` adds to `said`: models like to repeat the last sentence, or to begin again from the top. */
export function withoutRepetition(said: string, next: string): string {
  if (next.startsWith(said)) return next.slice(said.length);
  const most = Math.min(said.length, next.length);
  for (let size = most; size >= LEAST_OVERLAP; size -= 1) {
    if (said.endsWith(next.slice(0, size))) return next.slice(size);
  }
  return next;
}
