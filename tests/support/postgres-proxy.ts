import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface Proxy {
  readonly url: string;
  /** How many connections were cut on purpose. */
  readonly cuts: number;
  /** The connection that sends the next COMMIT is cut when the server has answered it. */
  cutAfterNextCommit(): void;
  /** From now on nothing passes, in neither direction, and nobody is told: as when a cable is pulled. */
  pull(): void;
  /** What was under way is lost; new connections pass. */
  plug(): void;
  close(): Promise<void>;
}

const NOTIFICATION = "A".charCodeAt(0);
const HEADER = 5;
const COMMITTED = Buffer.from("COMMIT\0");

/** Passes whole messages on, except notifications: as seen through a pooler in transaction mode. */
function withoutNotifications(to: Socket): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER) {
      const size = 1 + rest.readInt32BE(1);
      if (rest.length < size) return;
      if (rest[0] !== NOTIFICATION) to.write(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  };
}

/** A man in the middle of the PostgreSQL protocol, on loopback. */
export async function startProxy(url: string, of: { readonly dropNotifications?: boolean }): Promise<Proxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let armed = false;
  let pulled = false;
  let cuts = 0;
  const server = createServer((client) => {
    if (pulled) {
      // Neither refused nor answered.
      sockets.add(client);
      client.on("error", () => undefined);
      client.on("close", () => sockets.delete(client));
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        if (pulled) return;
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (chunk) => pulled || upstream.write(chunk));
    const pass = of.dropNotifications ? withoutNotifications(client) : (chunk: Buffer) => client.write(chunk);
    upstream.on("data", (chunk: Buffer) => {
      if (pulled) return;
      if (armed && chunk.includes(COMMITTED)) {
        armed = false;
        cuts += 1;
        client.destroy();
        return;
      }
      pass(chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const own = new URL(url);
  own.port = String(address.port);
  return {
    url: own.href,
    get cuts() {
      return cuts;
    },
    cutAfterNextCommit() {
      armed = true;
    },
    pull() {
      pulled = true;
    },
    plug() {
      pulled = false;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      pulled = false;
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
