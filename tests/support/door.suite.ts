import { Writable } from "node:stream";
import pino from "pino";
import { createHttpServer, type HttpServer } from "../../src/http/server.ts";
import type { StreamTimes } from "../../src/http/sse.ts";
import { type House, openHouse } from "./house.suite.ts";

/** A house with its HTTP door. */
export interface Door extends House {
  readonly server: HttpServer;
  /** Every line of the server's log so far. */
  readonly log: string[];
}

export async function openDoor(times?: StreamTimes): Promise<Door> {
  const house = await openHouse();
  const log: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk));
      done();
    },
  });
  const parts = { ...house.parts, version: "1.2.3", logger: pino({ level: "trace" }, sink) };
  const server = createHttpServer(parts, times);
  return {
    ...house,
    server,
    log,
    async close() {
      await server.close();
      await house.close();
    },
  };
}
