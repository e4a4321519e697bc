// Machines of their own as far as the network knows: a namespace each, joined by a bridge that PostgreSQL listens on.
import { execFile, execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Of every namespace, bridge and link of ours, followed by the process they belong to. */
const PREFIX = "arn";
const OURS = /^arn-?(\d+)x/;
const NAMESPACES = "/run/netns";
/** 198.18.0.0/15 is kept for tests of networks; a block of 32 addresses each. */
const BLOCKS = 4_096;
const BLOCK = 32;
const MOST_ISLANDS = 16;
const CHANCES = 2 ** 32;

/** A namespace with one link, which can be cut. */
export interface Island {
  readonly name: string;
  /** Its own address. */
  readonly address: string;
  /** A program and its arguments, as they are started inside. */
  inside(program: string, args: readonly string[]): { readonly program: string; readonly args: string[] };
  /** From now on packets vanish, in both directions, and nobody is told. */
  cut(): Promise<void>;
  /** Packets pass again, also those that are sent again for connections of before. */
  mend(): Promise<void>;
  /** So many of a hundred packets are lost in each direction; says by what, or null where the kernel cannot. */
  lose(percent: number): Promise<"netem" | "filter" | null>;
}

export interface Network {
  /** The address that is seen from every island. */
  readonly address: string;
  /** All addresses of the network: `198.18.3.32/27`. */
  readonly block: string;
  readonly islands: readonly Island[];
  close(): Promise<void>;
}

const ip = async (...args: readonly string[]): Promise<string> => (await run("ip", args)).stdout;
const quietly = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);

/** Why there can be no networks of their own on this machine, or null. */
export function whyNoNetwork(): string | null {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid?.() !== 0) return "only root may make network namespaces";
  const name = `${PREFIX}-${process.pid}x0`;
  const link = `${PREFIX}${process.pid}x0`;
  const steps = [
    ["netns", "add", name],
    ["link", "add", link, "type", "bridge"],
    ["link", "add", `${link}-0`, "type", "veth", "peer", "name", "eth0", "netns", name],
    ["netns", "exec", name, process.execPath, "--version"],
  ];
  try {
    for (const step of steps) execFileSync("ip", step, { stdio: "pipe" });
    return null;
  } catch (error) {
    const { code, stderr } = error as { readonly code?: string; readonly stderr?: Buffer };
    if (code === "ENOENT") return "there is no program ip (iproute2)";
    return `this machine allows none: ${String(stderr ?? error).trim()}`;
  } finally {
    for (const step of [
      ["netns", "del", name],
      ["link", "del", `${link}-0`],
      ["link", "del", link],
    ]) {
      try {
        execFileSync("ip", step, { stdio: "pipe" });
      } catch {
        // What was not made is not there.
      }
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Removes what tests have left that were killed. */
async function sweep(): Promise<void> {
  const links = JSON.parse((await ip("-j", "link")) || "[]") as { readonly ifname: string }[];
  const stale = (name: string) => {
    const [, pid] = OURS.exec(name) ?? [];
    return pid !== undefined && !isAlive(Number(pid));
  };
  let spaces: readonly string[] = [];
  try {
    spaces = readdirSync(NAMESPACES);
  } catch {
    // None was ever made on this machine.
  }
  for (const name of spaces.filter(stale)) await quietly(ip("netns", "del", name));
  for (const { ifname } of links.filter((link) => stale(link.ifname)))
    await quietly(ip("link", "del", ifname));
}

/** `n`-th address of a block. */
function addressOf(block: number, n: number): string {
  const at = block * BLOCK + n;
  return `198.${18 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
}

/** The hardware's address of the `n`-th of a block: one of those that are given locally. */
function physical(block: number, n: number): string {
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  return `02:ff:${hex(block >> 8)}:${hex(block & 255)}:00:${hex(n)}`;
}

async function freeBlock(from: number): Promise<number> {
  for (let tried = 0; tried < BLOCKS; tried += 1) {
    const block = (from + tried) % BLOCKS;
    if ((await ip("-4", "-o", "addr", "show", "to", `${addressOf(block, 0)}/27`)) === "") return block;
  }
  throw new Error("every address for tests is taken");
}

let made = 0;

/** A bridge on this machine with islands on it. Needs what `whyNoNetwork` looks for. */
export async function startNetwork(count: number): Promise<Network> {
  if (count > MOST_ISLANDS) throw new RangeError(`${count} islands are more than ${MOST_ISLANDS}`);
  await sweep();
  made += 1;
  const bridge = `${PREFIX}${process.pid}x${made}`;
  const block = await freeBlock((process.pid * 8 + made) % BLOCKS);
  const islands: Island[] = [];
  const close = async () => {
    for (const [n, { name }] of islands.entries()) {
      await quietly(ip("link", "del", `${bridge}-${n}`));
      await quietly(ip("netns", "del", name));
    }
    await quietly(ip("link", "del", bridge));
  };
  try {
    await ip("link", "add", bridge, "address", physical(block, 1), "type", "bridge");
    await ip("addr", "add", `${addressOf(block, 1)}/27`, "dev", bridge);
    await ip("link", "set", bridge, "up");
    for (let n = 0; n < count; n += 1) {
      const island = islandOf({ bridge, n, address: addressOf(block, n + 2) });
      islands.push(island);
      await ip("netns", "add", island.name);
      const end = ["peer", "name", "eth0", "address", physical(block, n + 2), "netns", island.name];
      await ip("link", "add", `${bridge}-${n}`, "type", "veth", ...end);
      await ip("link", "set", `${bridge}-${n}`, "master", bridge, "up");
      await ip("-n", island.name, "addr", "add", `${island.address}/27`, "dev", "eth0");
      for (const link of ["eth0", "lo"]) await ip("-n", island.name, "link", "set", link, "up");
      // Who is where is known for ever: a packet that is lost is lost, and no question for its way tells of it.
      const known = ["nud", "permanent", "dev"];
      await ip("neigh", "replace", island.address, "lladdr", physical(block, n + 2), ...known, bridge);
      const gate = [addressOf(block, 1), "lladdr", physical(block, 1), ...known, "eth0"];
      await ip("-n", island.name, "neigh", "replace", ...gate);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { address: addressOf(block, 1), block: `${addressOf(block, 0)}/27`, islands, close };
}

function islandOf(of: { readonly bridge: string; readonly n: number; readonly address: string }): Island {
  const port = `${of.bridge}-${of.n}`;
  const name = `${PREFIX}-${of.bridge.slice(PREFIX.length)}-${of.n}`;
  const clear = async () => {
    await quietly(run("tc", ["qdisc", "del", "dev", port, "root"]));
    await quietly(run("tc", ["qdisc", "del", "dev", port, "clsact"]));
    await quietly(run("tc", ["-n", name, "qdisc", "del", "dev", "eth0", "root"]));
  };
  return {
    name,
    address: of.address,
    inside: (program, args) => ({ program: "ip", args: ["netns", "exec", name, program, ...args] }),
    cut: async () => void (await ip("link", "set", port, "down")),
    async mend() {
      await clear();
      await ip("link", "set", port, "up");
    },
    async lose(percent) {
      await clear();
      const netem = ["root", "netem", "loss", `${percent}%`, "delay", "10ms", "5ms"];
      try {
        await run("tc", ["qdisc", "add", "dev", port, ...netem]);
        await run("tc", ["-n", name, "qdisc", "add", "dev", "eth0", ...netem]);
        return "netem";
      } catch {
        await clear();
      }
      // Where the kernel has no netem: a filter of four instructions that draws a number for each packet.
      const kept = Math.floor((percent / 100) * CHANCES);
      const program = `4,32 0 0 4294963256,53 1 0 ${kept},6 0 0 2,6 0 0 0`;
      try {
        await run("tc", ["qdisc", "add", "dev", port, "clsact"]);
        for (const way of ["ingress", "egress"])
          await run("tc", ["filter", "add", "dev", port, way, "bpf", "da", "bytecode", program]);
        return "filter";
      } catch {
        await clear();
        return null;
      }
    },
  };
}
