import { type Failure, failure } from "../domain/errors.ts";

/** Names under which this machine calls itself, as they stand in a Host header. */
const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** What may be listened on, and the address that is bound for it. */
const LOOPBACK_ADDRESSES: Readonly<Record<string, string | undefined>> = {
  localhost: "127.0.0.1",
  "127.0.0.1": "127.0.0.1",
  "::1": "::1",
  "[::1]": "::1",
};

interface Headers {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly "sec-fetch-site"?: string | string[] | undefined;
  readonly "sec-fetch-mode"?: string | string[] | undefined;
}

/** The address to bind for a configured host; `null` when other machines could reach it. */
export function loopbackAddress(host: string): string | null {
  return LOOPBACK_ADDRESSES[host.toLowerCase()] ?? null;
}

/**
 * Who may talk to a server without accounts: programs of this machine, and pages that this server itself served.
 * The Host header must be a loopback name with our port: a page of another site that rebinds its own name to
 * 127.0.0.1 still sends that name. `port` is `null` while the server listens nowhere.
 */
export function refuseForeign(headers: Headers, port: number | null): Failure | null {
  const host = headers.host ?? "";
  if (!isLoopbackHost(host, port)) {
    return failure("forbidden_host", `Host ${quote(host)} is not a loopback name with this server's port.`);
  }
  const { origin } = headers;
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    return failure(
      "forbidden_host",
      `Origin ${quote(origin)} is not this server; other sites may not call it.`,
    );
  }
  const site = headers["sec-fetch-site"];
  const foreign = site === "cross-site" || site === "same-site";
  if (foreign && headers["sec-fetch-mode"] !== "navigate") {
    return failure(
      "forbidden_host",
      "A page of another site made this request; only following a link is let through.",
    );
  }
  return null;
}

function isLoopbackHost(host: string, port: number | null): boolean {
  const match = /^(\[[0-9a-f:]+\]|[^:@/\s]+)(?::(\d{1,5}))?$/i.exec(host);
  const name = match?.[1]?.toLowerCase();
  if (name === undefined || !LOOPBACK_NAMES.has(name)) return false;
  const HTTP_PORT = 80;
  return port === null || Number(match?.[2] ?? HTTP_PORT) === port;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
