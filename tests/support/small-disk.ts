import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MOUNT = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && exec "$3" "$4" "$2"';

/** Whether this machine lets a test have a file system of its own (Linux, with user namespaces). */
export function canMountSmallDisk(): boolean {
  if (process.platform !== "linux") return false;
  const script = 'mount -t tmpfs -o size=64k tmpfs "$1"';
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-disk-"));
  const tried = spawnSync("unshare", ["-rm", "sh", "-c", script, "sh", folder]);
  rmSync(folder, { recursive: true, force: true });
  return tried.status === 0;
}

/**
 * Runs a TypeScript file with a real, tiny file system as its only argument, and gives back the JSON it printed last.
 * The script can make it read-only by running `mount -o remount,bind,ro`. It is gone when the script ends.
 */
export function runOnSmallDisk(script: URL, kib: number): unknown {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-disk-"));
  try {
    const args = ["-rm", "sh", "-c", MOUNT, "sh", `${kib}k`, folder, process.execPath, fileURLToPath(script)];
    // The disk is what is small: whatever database flows are asked to run on, here it is the file on that disk.
    const { FLOW_DATABASE: _, FLOW_WORKERS: __, ...env } = process.env;
    const ran = spawnSync("unshare", args, { encoding: "utf8", timeout: 60_000, env });
    if (ran.status !== 0) throw new Error(`the script failed (${ran.status}): ${ran.stderr}`);
    return JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "null");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
