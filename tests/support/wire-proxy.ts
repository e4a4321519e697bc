import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A good answer as it came from the server behind, cut where its protocol cuts. */
export interface Good {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly frames: readonly Buffer[];
  /** Index of the first frame that says how the answer ended. */
  readonly end: number;
}

/** What the proxy does instead of passing the answer on. */
export type Mangle = (response: ServerResponse, good: Good, request: IncomingMessage) => void | Promise<void>;

export interface WireProxy {
  readonly url: string;
  /** For every request from now on; `null` passes answers on. */
  mangle: Mangle | null;
  /** Requests seen. */
  readonly asked: { readonly method: string; readonly path: string }[];
  close(): Promise<void>;
}

const HOST = "127.0.0.1";
const END = /"finish_reason":"|"type":"message_delta"|"finishReason"|"done":true/;

/** A server before another one that breaks its answers on the wire, whatever protocol they are in. */
export async function startWireProxy(behind: string): Promise<WireProxy> {
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  const proxy: { mangle: Mangle | null; asked: { method: string; path: string }[] } = {
    mangle: null,
    asked: [],
  };
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    proxy.asked.push({ method: request.method ?? "", path });
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers)) {
      if (!/^(host|connection|content-length|transfer-encoding|accept-encoding)$/.test(name))
        headers[name] = String(value);
    }
    const got = await fetch(behind + path, {
      method: request.method ?? "POST",
      headers,
      ...(request.method === "GET" ? {} : { body: Buffer.concat(chunks) }),
    });
    const body = Buffer.from(await got.arrayBuffer());
    const contentType = got.headers.get("content-type") ?? "";
    const frames = framesOf(body);
    const at = frames.findIndex((frame) => END.test(frame.toString()));
    const good = { status: got.status, contentType, body, frames, end: at < 0 ? frames.length : at };
    if (proxy.mangle !== null) return proxy.mangle(response, good, request);
    response.writeHead(got.status, { "content-type": contentType });
    response.end(body);
  }
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    url: `http://${HOST}:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

/** An event ends with an empty line; a line of JSON with its own end. */
function framesOf(body: Buffer): readonly Buffer[] {
  const text = body.toString();
  const end = text.includes("\n\n") ? /(?<=\n\n)/ : /(?<=\n)/;
  return text
    .split(end)
    .filter((frame) => frame !== "")
    .map((frame) => Buffer.from(frame));
}
