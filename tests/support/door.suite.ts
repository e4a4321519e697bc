import { Writable } from "node:stream";
import pino from "pino";
import type { QueueLoad } from "../../src/contracts/run-store.ts";
import { createHttpServer, type HttpServer } from "../../src/http/server.ts";
import type { StreamTimes } from "../../src/http/sse.ts";
import { type House, openHouse } from "./house.suite.ts";

/** A house with its HTTP door. */
export interface Door extends House {
  readonly server: HttpServer;
  /** Every line of the server's log so far. */
  readonly log: string[];
}

export interface DoorOptions {
  readonly trustIdentityHeaders?: boolean;
  readonly key?: string;
  /** The load as it is to be seen: of a machine that is busier than this one. */
  readonly load?: (real: QueueLoad) => QueueLoad;
}

export async function openDoor(times?: StreamTimes, options: DoorOptions = {}): Promise<Door> {
  const house = await openHouse(undefined, options.load);
  const log: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk));
      done();
    },
  });
  const { trustIdentityHeaders = false } = options;
  const logger = pino({ level: "trace" }, sink);
  const key = options.key === undefined ? {} : { key: options.key };
  const parts = { ...house.parts, version: "1.2.3", logger, trustIdentityHeaders, ...key };
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
