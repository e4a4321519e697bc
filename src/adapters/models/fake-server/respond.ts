import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Clock } from "../../../base/clock.ts";
import type { Fault } from "../script/faults.ts";
import type { Played } from "../script/play.ts";
import type { Meter } from "./billing.ts";
import type { Asked, Protocol, StatusFault } from "./protocol.ts";

/** How whole answers are cut up on the wire; clients must not notice. */
export interface Shape {
  /** Bytes of one write; 0 for a frame at a time. */
  readonly splitBytes: number;
  /** Lines between the frames that clients must ignore. */
  readonly comments: boolean;
  /** CRLF line ends. */
  readonly crlf: boolean;
  /** ms between the pieces of an answer. */
  readonly paceMs: number;
}

interface Answer {
  readonly protocol: Protocol;
  readonly asked: Asked;
  readonly played: Played;
  readonly shape: Shape;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly halfway: () => void;
}

/** A reset overtakes what was sent before it; the beginning of the answer is given this time to arrive. */
const BEFORE_RESET_MS = 30;

const HTML = "<!doctype html><html><body><h1>Sign in to the network</h1></body></html>";
const STATUS_FAULTS: ReadonlySet<string> = new Set<StatusFault>([
  "overloaded",
  "rate_limited",
  "unavailable",
  "auth",
  "invalid_request",
  "context_overflow",
]);

/** Answers, or fails in the given way. Resolves when all that will be sent is sent. */
export async function respond(response: ServerResponse, answer: Answer, fault: Fault | null): Promise<void> {
  if (fault === null) return playWhole(response, answer, { usage: true, refused: false });
  const { kind } = fault;
  if (STATUS_FAULTS.has(kind)) return refuse(response, answer, { ...fault, kind: kind as StatusFault });
  switch (kind) {
    case "refused":
      return playWhole(response, answer, { usage: true, refused: true });
    case "no_usage":
      return playWhole(response, answer, { usage: false, refused: false });
    case "empty":
      answer.meter.breaks();
      begin(response, answer);
      response.end();
      return;
    case "html":
      answer.meter.rejects();
      response.writeHead(200, { "content-type": "text/html" });
      response.end(HTML);
      return;
    case "hang":
      return;
    case "error_first":
      answer.meter.rejects();
      begin(response, answer);
      response.end(answer.protocol.inBand);
      return;
    default:
      return breakHalfWay(response, answer, kind);
  }
}

async function breakHalfWay(response: ServerResponse, answer: Answer, kind: Fault["kind"]): Promise<void> {
  begin(response, answer);
  const frames = answer.asked.stream
    ? answer.protocol.frames(answer.played, answer.asked, { usage: true, refused: false })
    : { head: [], body: halves(wholeText(answer)), tail: [] };
  const middle = Math.ceil(frames.body.length / 2);
  const { meter } = answer;
  meter.answers(answer.asked.stream ? wordsIn(answer, frames.body) : 1, answer.asked.stream);
  await write(response, answer, frames.head);
  await write(response, answer, frames.body.slice(0, middle), meter);
  if (kind === "stall") return;
  if (kind !== "bad_reply") meter.breaks();
  if (kind === "reset") {
    answer.clock.after(BEFORE_RESET_MS, () => response.socket?.resetAndDestroy());
    return;
  }
  if (kind === "error_mid") await write(response, answer, [answer.protocol.inBand]);
  if (kind === "bad_reply") {
    await write(response, answer, [answer.protocol.broken]);
    await write(response, answer, frames.body.slice(middle), meter);
    await write(response, answer, frames.tail);
    meter.finished(true);
  }
  response.end();
}

function refuse(
  response: ServerResponse,
  { protocol, meter }: Answer,
  fault: Fault & { readonly kind: StatusFault },
): void {
  const { status, body } = protocol.error(fault.kind);
  meter.rejects();
  const wait =
    fault.retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(fault.retryAfterMs / 1_000)) };
  response.writeHead(status, { "content-type": "application/json", "request-id": meter.id, ...wait });
  response.end(JSON.stringify(body));
}

async function playWhole(
  response: ServerResponse,
  answer: Answer,
  variant: { readonly usage: boolean; readonly refused: boolean },
): Promise<void> {
  const { meter } = answer;
  begin(response, answer);
  if (answer.asked.stream) {
    const { head, body, tail } = answer.protocol.frames(answer.played, answer.asked, variant);
    meter.answers(wordsIn(answer, body), true);
    await write(response, answer, head);
    await write(response, answer, body, meter);
    await write(response, answer, tail);
  } else {
    meter.answers(1, false);
    await write(response, answer, [
      JSON.stringify(answer.protocol.whole(answer.played, answer.asked, variant)),
    ]);
  }
  if (!response.destroyed) meter.finished(variant.usage);
  response.end();
}

function begin(response: ServerResponse, answer: Answer): void {
  const type = answer.asked.stream ? answer.protocol.contentType : "application/json";
  response.writeHead(200, {
    "content-type": type,
    "cache-control": "no-cache",
    "request-id": answer.meter.id,
  });
  response.flushHeaders();
}

/** Each piece is on its way before the next one is written, so that pieces stay pieces. */
async function write(
  response: ServerResponse,
  answer: Answer,
  frames: readonly string[],
  meter?: Meter,
): Promise<void> {
  const { shape, protocol } = answer;
  let said = 0;
  for (const frame of frames) {
    const word = meter !== undefined && speaks(answer, frame);
    // Between the words themselves; what frames them comes at once.
    if (word && said > 0 && shape.paceMs > 0) await pause(answer.clock, shape.paceMs, response);
    if (response.destroyed) return;
    const noted = shape.comments && answer.asked.stream ? protocol.comment + frame : frame;
    const bytes = Buffer.from(shape.crlf ? noted.replaceAll("\n", "\r\n") : noted);
    const size = shape.splitBytes > 0 ? shape.splitBytes : bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      if (response.destroyed) return;
      if (!response.write(bytes.subarray(at, at + size))) await drained(response);
      if (shape.splitBytes > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (!word) continue;
    said += 1;
    meter.sent();
    if (meter.atHalf) answer.halfway();
  }
}

function wordsIn(answer: Answer, body: readonly string[]): number {
  return body.filter((frame) => speaks(answer, frame)).length;
}

/** An answer in one piece counts as a whole, however it is cut up. */
function speaks({ protocol, asked }: Answer, frame: string): boolean {
  return asked.stream && (protocol.speaks?.(frame) ?? true);
}

/** Waits, or until the client goes away. */
export function pause(clock: Clock, ms: number, response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      response.off("close", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    response.once("close", done);
  });
}

async function drained(response: ServerResponse): Promise<void> {
  await Promise.race([once(response, "drain"), once(response, "close")]);
}

function wholeText(answer: Answer): string {
  return JSON.stringify(answer.protocol.whole(answer.played, answer.asked, { usage: true, refused: false }));
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
}
