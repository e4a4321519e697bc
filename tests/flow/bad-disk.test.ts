import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { openRunner } from "../../src/index.ts";
import { canMountSmallDisk, runOnSmallDisk } from "../support/small-disk.ts";
import { Playground, run } from "./playground.ts";

const DISK_KIB = 16 * 1024;

// A file system of one's own needs Linux with user namespaces, or root: without that there is no full disk to be had.
describe.runIf(canMountSmallDisk())("a data folder whose disk", () => {
  it("is full refuses by name, loses nothing that it accepted, and goes on when there is space", () => {
    expect(runOnSmallDisk(new URL("runner-on-full-disk.ts", import.meta.url), DISK_KIB)).toEqual({
      refused: "disk_full",
      elsewhere: "disk_full",
      readable: true,
      kept: true,
      midway: "disk_full",
      resumed: "completed",
      hoarded: 2,
      checkout: "disk_full",
      afterwards: "completed",
    });
  });

  it("is read-only is refused by name, and what was accepted completes when it is writable again", () => {
    expect(runOnSmallDisk(new URL("runner-on-read-only-disk.ts", import.meta.url), DISK_KIB)).toEqual({
      mounted: [0, 0],
      known: "read_only",
      fresh: "read_only",
      status: "completed",
    });
  });
});

describe("a data folder", () => {
  const play = new Playground();
  afterAll(() => play.close());

  // Root may write everywhere, and Windows knows no such mode.
  it.runIf(process.platform !== "win32" && process.getuid?.() !== 0)(
    "without the right to write is refused",
    async () => {
      const runner = await play.runner();
      await runner.close();
      chmodSync(play.path("data"), 0o555);
      chmodSync(play.path("data", "agent-runner.db"), 0o444);
      await expect(play.runner()).rejects.toMatchObject({ failure: { code: "read_only" } });
      chmodSync(play.path("data"), 0o755);
      chmodSync(play.path("data", "agent-runner.db"), 0o644);
      const again = await play.runner();
      await again.addWorkflow('name: n\nversion: "1"\ndescription: x\nsteps: [{ id: a, uses: noop }]\n');
      expect((await run(again, "n", {})).summary.status).toBe("completed");
    },
  );

  it("whose name is a file's is refused by name", async () => {
    writeFileSync(play.path("file"), "in the way");
    await expect(openRunner({ dataDir: play.path("file") })).rejects.toMatchObject({
      failure: { code: "invalid_config", message: expect.stringContaining(play.path("file")) },
    });
  });

  it("whose database is damaged is refused by name, and left as it is", async () => {
    mkdirSync(play.path("damaged"));
    const file = play.path("damaged", "agent-runner.db");
    writeFileSync(file, "this is no database, but somebody's only copy of something");
    await expect(openRunner({ dataDir: play.path("damaged") })).rejects.toMatchObject({
      failure: { code: "store_corrupt" },
    });
    expect(readFileSync(file, "utf8")).toContain("only copy");
  });
});
