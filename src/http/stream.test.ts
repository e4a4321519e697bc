import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Door, openDoor } from "../../tests/support/door.suite.ts";
import { LIMITS } from "../domain/limits.ts";

let door: Door;
let port: number;
let base: string;
afterEach(() => door.close());

async function open(times?: { heartbeatMs: number; stallMs: number }, host = "127.0.0.1"): Promise<void> {
  door = await openDoor(times);
  const listening = await door.server.listen({ host, port: 0 });
  if (!listening.ok) throw new Error(listening.failure.message);
  base = listening.value.url;
  port = Number(new URL(base).port);
}

async function startId(): Promise<string> {
  const answer = await fetch(`${base}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ workflow: "greet", inputs: { who: "Ann" } }),
  });
  return ((await answer.json()) as { id: string }).id;
}

interface Message {
  readonly id?: string;
  readonly event?: string;
  readonly data?: unknown;
  readonly comment?: string;
}

interface Reader {
  readonly answer: Response;
  next(): Promise<Message | null>;
  /** All up to and with the first that fits. */
  until(fits: (message: Message) => boolean): Promise<Message[]>;
  close(): void;
}

/** A reader of an event stream, as the standard says how to be one. */
async function read(run: string, headers: Record<string, string> = {}): Promise<Reader> {
  const controller = new AbortController();
  const answer = await fetch(`${base}/runs/${run}/events`, {
    headers: { accept: "text/event-stream", ...headers },
    signal: controller.signal,
  });
  // Taken up at the first read only, so that an error's body can be read as JSON.
  let chunks: ReadableStreamDefaultReader<string> | undefined;
  let text = "";
  const next = async (): Promise<Message | null> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        if (block.startsWith("retry:")) continue;
        return parse(block);
      }
      chunks ??= answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      const chunk = await chunks?.read();
      if (!chunk || chunk.done) return null;
      text += chunk.value;
    }
  };
  return {
    answer,
    next,
    async until(fits) {
      const all: Message[] = [];
      for (;;) {
        const message = await next();
        if (message === null) throw new Error(`the stream ended after ${JSON.stringify(all)}`);
        all.push(message);
        if (fits(message)) return all;
      }
    },
    close: () => controller.abort(),
  };
}

function parse(block: string): Message {
  if (block.startsWith(":")) return { comment: block.slice(1).trim() };
  const fields = Object.fromEntries(
    block.split("\n").map((line) => {
      const at = line.indexOf(": ");
      return [line.slice(0, at), line.slice(at + 2)];
    }),
  );
  return { ...fields, data: JSON.parse(fields.data ?? "null") };
}

/** What a raw HTTP request over the socket is answered. */
async function raw(request: string): Promise<string> {
  const socket = createConnection({ port, host: "127.0.0.1" });
  socket.end(request);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}

const isEnd = (message: Message) => message.event === "end";

describe("an event stream", () => {
  it("tells each fact with its seq and kind, live events without id, and the end", async () => {
    await open();
    const run = await startId();
    const reader = await read(run);
    expect(reader.answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(reader.answer.headers.get("x-request-id")).toMatch(/^req_/);
    expect(reader.answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await reader.next()).toMatchObject({
      id: "1",
      event: "run_queued",
      data: { seq: 1, kind: "run_queued" },
    });
    const hand = await door.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    expect(await reader.next()).toMatchObject({ id: "2", event: "run_started" });
    door.live.publish({ run, step: "speak", name: "delta", at: 0, data: { text: "a\nb" } });
    expect(await reader.next()).toEqual({
      event: "live",
      data: { step: "speak", name: "delta", at: "1970-01-01T00:00:00.000Z", data: { text: "a\nb" } },
    });
    await hand.complete();
    expect(await reader.next()).toMatchObject({ id: "3", event: "run_completed" });
    expect(await reader.next()).toEqual({ event: "end", data: { status: "completed", last_seq: 3 } });
    expect(await reader.next()).toBeNull();
  });

  it("goes on behind Last-Event-ID after a broken connection, and misses and repeats nothing", async () => {
    await open();
    const run = await startId();
    const hand = await door.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    const writing = (async () => {
      for (let i = 0; i < 60; i += 1) {
        await hand.write([{ kind: "noted", step: "speak", name: `n${i}`, data: {} }]);
      }
      await hand.complete();
    })();
    const seen: number[] = [];
    for (let ended = false; !ended; ) {
      const reader = await read(run, seen.length > 0 ? { "last-event-id": String(seen.at(-1)) } : {});
      for (let taken = 0; taken < 7 && !ended; taken += 1) {
        const message = await reader.next();
        if (message?.id) seen.push(Number(message.id));
        ended = message === null || isEnd(message);
      }
      reader.close();
    }
    await writing;
    expect(seen).toEqual(Array.from({ length: 63 }, (_, index) => index + 1));
    const over = await read(run, { "last-event-id": "63" });
    expect(over.answer.status).toBe(204);
    const wrong = await read(run, { "last-event-id": "x" });
    expect(wrong.answer.status).toBe(400);
    expect(((await wrong.answer.json()) as { error: { message: string } }).error.message).toContain(
      'header.last-event-id is "x"',
    );
    expect((await read("run_x")).answer.status).toBe(404);
  });

  it("works without a socket, for commands in the server's own process", async () => {
    await open();
    const run = await startId();
    const hand = await door.take(run);
    const answer = await door.server.app.inject({
      url: `/runs/${run}/events`,
      headers: { host: `127.0.0.1:${port}`, accept: "text/event-stream" },
      payloadAsStream: true,
    });
    expect(answer.statusCode).toBe(200);
    let text = "";
    const reading = (async () => {
      for await (const chunk of answer.stream()) text += chunk;
    })();
    await hand.write([{ kind: "run_started", worker: "w" }]);
    const filler = "x".repeat(200_000);
    for (let i = 0; i < 20; i += 1) {
      await hand.write([{ kind: "noted", step: "speak", name: "big", data: { filler } }]);
    }
    await hand.complete();
    await reading;
    expect([...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))).toEqual(
      Array.from({ length: 23 }, (_, index) => index + 1),
    );
    expect(text).toContain("event: end");
  });

  it("is never silent for longer than the heartbeat", async () => {
    await open({ heartbeatMs: 20, stallMs: 60_000 });
    const reader = await read(await startId());
    const messages = await reader.until((message) => message.comment === "heartbeat");
    expect(messages.at(-1)).toEqual({ comment: "heartbeat" });
    await reader.until((message) => message.comment === "heartbeat");
    reader.close();
  });

  it("waits for a slow reader without gathering, and tells it everything when it reads again", async () => {
    await open();
    const run = await startId();
    const hand = await door.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    const socket = await stream(run);
    socket.pause();
    const filler = "x".repeat(200_000);
    const many = 60;
    for (let i = 0; i < many; i += 1) {
      await hand.write([{ kind: "noted", step: "speak", name: "big", data: { filler } }]);
      for (let j = 0; j < 100; j += 1)
        door.live.publish({ run, step: "speak", name: "delta", at: 0, data: { filler } });
    }
    await hand.complete();
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.resume();
    await once(socket, "close");
    const seqs = [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    expect(seqs).toEqual(Array.from({ length: many + 3 }, (_, index) => index + 1));
    expect(text).toContain("event: end");
    const live = [...text.matchAll(/^event: live$/gm)].length;
    expect(live).toBeLessThan(many * 100);
  });

  it("lets a reader go that takes nothing, and stops following for it", async () => {
    await open({ heartbeatMs: 60_000, stallMs: 50 });
    const run = await startId();
    const hand = await door.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    const socket = await stream(run);
    socket.pause();
    const filler = "x".repeat(500_000);
    for (let i = 0; i < 40; i += 1) {
      await hand.write([{ kind: "noted", step: "speak", name: "big", data: { filler } }]);
    }
    await logged(/"route":"\/runs\/:id\/events".*"whole":false/);
    socket.destroy();
  });

  it("ends when the server stops, also for a reader that takes nothing", async () => {
    await open();
    const run = await startId();
    const reader = await read(run);
    await reader.next();
    const hand = await door.take(run);
    const stuck = await stream(run);
    stuck.pause();
    const many = 40;
    for (let i = 0; i < many; i += 1) {
      await hand.write(
        [{ kind: "noted", step: "speak", name: "big", data: { filler: "x".repeat(500_000) } }],
        {
          started: i === 0,
        },
      );
    }
    await reader.until((message) => message.id === String(many + 1));
    const drained = (async () => {
      while (await reader.next());
    })();
    const before = Date.now();
    await door.server.close();
    await drained;
    expect(Date.now() - before).toBeLessThan(5_000);
    expect(door.log.some((line) => line.includes('"whole":false'))).toBe(true);
    await expect(fetch(`${base}/healthz`)).rejects.toThrow();
    stuck.destroy();
  });

  it("is refused beyond the limit", async () => {
    await open();
    const run = await startId();
    const readers: Socket[] = [];
    for (let i = 0; i < LIMITS.eventStreams; i += 1) readers.push(await stream(run));
    const answer = await fetch(`${base}/runs/${run}/events`, { headers: { accept: "text/event-stream" } });
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await answer.json()).toMatchObject({ error: { code: "too_many_streams" } });
    for (const socket of readers) socket.destroy();
    await logged(/"route":"\/runs\/:id\/events".*"status":200/);
    expect((await read(run)).answer.status).toBe(200);
  });
});

/** Until the server has logged such a line: nothing tells a client that does not read of the end. */
async function logged(line: RegExp): Promise<void> {
  const POLL_MS = 10;
  const GIVE_UP = 1_000;
  for (let polls = 0; polls < GIVE_UP; polls += 1) {
    if (door.log.some((one) => line.test(one))) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`never logged ${line}`);
}

/** A raw reader that has seen the stream begin. */
async function stream(run: string): Promise<Socket> {
  const socket = createConnection({ port, host: "127.0.0.1" });
  socket.write(
    `GET /runs/${run}/events HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\naccept: text/event-stream\r\nconnection: close\r\n\r\n`,
  );
  await once(socket, "readable");
  return socket;
}

describe("listening", () => {
  it("happens on loopback only", async () => {
    door = await openDoor();
    for (const host of ["0.0.0.0", "::", "192.168.1.7", "example.com", "", "127.0.0.1.evil.example"]) {
      const refused = await door.server.listen({ host, port: 0 });
      expect(refused).toMatchObject({
        ok: false,
        failure: { code: "invalid_config", message: expect.stringContaining(JSON.stringify(host)) },
      });
    }
    const taken = await openDoor();
    const first = await taken.server.listen({ host: "localhost", port: 0 });
    const used = first.ok ? Number(new URL(first.value.url).port) : 0;
    expect(await door.server.listen({ host: "127.0.0.1", port: used })).toMatchObject({
      ok: false,
      failure: { code: "address_in_use", message: `Something else listens on 127.0.0.1:${used} already.` },
    });
    await taken.close();
  });

  it("answers only under a loopback name with its own port: a rebound name learns nothing", async () => {
    await open();
    const ask = (host: string, more = "") =>
      raw(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\n${more}connection: close\r\n\r\n`);
    expect(await ask(`127.0.0.1:${port}`)).toContain("200 OK");
    expect(await ask(`LOCALHOST:${port}`)).toContain("200 OK");
    expect(await ask(`127.0.0.1:${port}`, `origin: http://127.0.0.1:${port}\r\n`)).toContain("200 OK");
    for (const host of [`rebound.example:${port}`, "127.0.0.1", `127.0.0.1:${port + 1}`, "localhost", ""]) {
      const answer = await ask(host);
      expect(answer).toContain("403 Forbidden");
      expect(answer).toContain('"code":"forbidden_host"');
    }
    expect(await ask(`127.0.0.1:${port}`, `origin: http://localhost:${port}\r\n`)).toContain("403");
    expect(await raw(`GET /%ff HTTP/1.1\r\nhost: rebound.example\r\nconnection: close\r\n\r\n`)).toContain(
      "403",
    );
  });

  it("answers what is no HTTP in the one shape", async () => {
    await open();
    const answer = await raw("hello\r\n\r\n");
    expect(answer).toContain("400 Bad Request");
    expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({
      error: { code: "invalid_request" },
    });
  });

  it("works over IPv6 where there is one", async () => {
    door = await openDoor();
    const listening = await door.server.listen({ host: "::1", port: 0 });
    if (!listening.ok) {
      expect(listening.failure.code).toBe("invalid_config");
      return;
    }
    expect(listening.value.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(`${listening.value.url}/healthz`)).status).toBe(200);
  });
});
