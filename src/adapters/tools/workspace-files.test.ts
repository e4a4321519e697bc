import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FailureError } from "../../domain/errors.ts";
import {
  listInside,
  placeOf,
  readInside,
  removeInside,
  resolveInside,
  temporaryName,
  writeInside,
} from "./workspace-files.ts";

const POSIX = process.platform !== "win32";
const isRoot = process.getuid?.() === 0;

let base: string;
let root: string;
let outside: string;
beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), "guard-")));
  root = join(base, "workspace");
  outside = join(base, "outside");
  await mkdir(root);
  await mkdir(outside);
  await writeFile(join(outside, "secret.txt"), "secret");
});
afterEach(() => rm(base, { recursive: true, force: true }));

const put = async (path: string, text: string): Promise<void> =>
  writeInside(root, await placeOf(root, path), { bytes: Buffer.from(text) });
const get = async (path: string): Promise<string> =>
  (await readInside(root, await placeOf(root, path), 1_000)).bytes.toString();

describe("places", () => {
  it("are found by their text, and through links that stay inside", async () => {
    await mkdir(join(root, "real/deep"), { recursive: true });
    await symlink("real", join(root, "link"), "junction");
    const place = await placeOf(root, "link/deep/new.txt");
    expect(place).toMatchObject({ path: "link/deep/new.txt", realPath: "real/deep/new.txt", exists: false });
    expect(place.absolute).toBe(join(root, "real", "deep", "new.txt"));
  });

  it.runIf(POSIX)("may lie in a workspace that is reached by a link itself", async () => {
    await symlink(root, join(base, "alias"));
    await writeFile(join(root, "a"), "x");
    expect(await resolveInside(join(base, "alias"), "a")).toMatchObject({
      ok: true,
      value: { realPath: "a", exists: true },
    });
  });

  it("may lie in a workspace below a folder of git's", async () => {
    const odd = join(base, ".git", "worktrees", "one");
    await mkdir(odd, { recursive: true });
    await writeFile(join(odd, "a"), "x");
    expect(await resolveInside(odd, "a")).toMatchObject({ ok: true });
    expect(await resolveInside(odd, ".git")).toMatchObject({ ok: false });
  });

  it.runIf(POSIX)("lead out by no arrangement of links", async () => {
    const target = fc.constantFrom(
      "..",
      "../outside",
      "../outside/secret.txt",
      ".",
      "a",
      "b/c",
      "/",
      outside,
      "../workspace",
      ".git",
      "c",
    );
    const name = fc.constantFrom("a", "b", "c", "d");
    const arrangement = fc.array(fc.tuple(name, target), { maxLength: 4 });
    const asked = fc.array(fc.constantFrom("a", "b", "c", "d", "..", "secret.txt", "x"), {
      minLength: 1,
      maxLength: 5,
    });
    await mkdir(join(root, ".git"));
    await fc.assert(
      fc.asyncProperty(arrangement, asked, async (links, names) => {
        for (const [at, to] of links) await symlink(to, join(root, at)).catch(() => undefined);
        try {
          const place = await resolveInside(root, names.join("/"));
          if (!place.ok) return void expect(place.failure.code).toBe("workspace_escape");
          const { absolute, exists } = place.value;
          expect(absolute === root || absolute.startsWith(`${root}/`)).toBe(true);
          expect(absolute).not.toContain("/.git");
          if (exists) expect(await realpath(absolute)).toBe(absolute);
        } finally {
          for (const [at] of links) await rm(join(root, at), { force: true });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("writing", () => {
  it("makes the folders, and replaces the whole file at once", async () => {
    await put("x/y/a.txt", "one");
    await put("x/y/a.txt", "two");
    expect(await get("x/y/a.txt")).toBe("two");
    expect(await readdir(join(root, "x/y"))).toEqual(["a.txt"]);
  });

  it.runIf(POSIX)("keeps the mode of a file", async () => {
    await put("run.sh", "#!/bin/sh\n");
    await chmod(join(root, "run.sh"), 0o755);
    await put("run.sh", "#!/bin/sh\necho\n");
    expect((await stat(join(root, "run.sh"))).mode & 0o777).toBe(0o755);
  });

  it("clears what a crash left behind", async () => {
    await writeFile(join(root, temporaryName("a.txt")), "torn");
    await put("a.txt", "whole");
    expect(await readdir(root)).toEqual(["a.txt"]);
  });

  it.runIf(POSIX)("does not follow a link that waits under the temporary name", async () => {
    await symlink(join(outside, "secret.txt"), join(root, temporaryName("a.txt")));
    await put("a.txt", "whole");
    expect(await readFile(join(outside, "secret.txt"), "utf8")).toBe("secret");
    expect(await get("a.txt")).toBe("whole");
  });

  it("does not reach through a hard link: the other name keeps its content", async () => {
    await link(join(outside, "secret.txt"), join(root, "hard.txt"));
    await put("hard.txt", "changed");
    expect(await readFile(join(outside, "secret.txt"), "utf8")).toBe("secret");
  });

  it.runIf(POSIX && !isRoot)("respects a read-only file", async () => {
    await put("a.txt", "x");
    await chmod(join(root, "a.txt"), 0o444);
    await expect(put("a.txt", "y")).rejects.toThrow("EACCES");
  });

  it("refuses folders and the root", async () => {
    await mkdir(join(root, "folder"));
    await expect(put("folder", "x")).rejects.toThrow(FailureError);
    await expect(put(".", "x")).rejects.toThrow(FailureError);
    await expect(get("folder")).rejects.toThrow(FailureError);
  });
});

describe("reading", () => {
  it.runIf(POSIX)("does not wait for a pipe or read a device", async () => {
    const [code] = await once(spawn("mkfifo", [join(root, "pipe")]), "exit");
    expect(code).toBe(0);
    await expect(get("pipe")).rejects.toThrow("no regular file");
  });

  it("reads no more than it may, and says how much there is", async () => {
    await writeFile(join(root, "a"), "x".repeat(5_000));
    const { bytes, size } = await readInside(root, await placeOf(root, "a"), 1_000);
    expect([bytes.length, size]).toEqual([1_000, 5_000]);
  });
});

describe.runIf(POSIX)("a link that takes the place of what was checked", () => {
  it("is not followed, whether it is the file or a folder above it", async () => {
    await mkdir(join(root, "folder"));
    await writeFile(join(root, "folder", "secret.txt"), "mine");
    const place = await placeOf(root, "folder/secret.txt");
    await rm(join(root, "folder"), { recursive: true });
    await symlink(outside, join(root, "folder"));
    await expect(readInside(root, place, 1_000)).rejects.toThrow(FailureError);
    await expect(writeInside(root, place, { bytes: Buffer.from("planted") })).rejects.toThrow(FailureError);
    await expect(removeInside(root, place)).rejects.toThrow(FailureError);
    const folder = { ...place, absolute: join(root, "folder"), realPath: "folder" };
    await expect(listInside(root, folder)).rejects.toThrow(FailureError);

    await rm(join(root, "folder"));
    await symlink(join(outside, "secret.txt"), join(root, "file.txt"));
    const file = { ...place, path: "file.txt", realPath: "file.txt", absolute: join(root, "file.txt") };
    await expect(readInside(root, file, 1_000)).rejects.toThrow(FailureError);
    await expect(writeInside(root, file, { bytes: Buffer.from("planted") })).rejects.toThrow(FailureError);
    expect(await readFile(join(outside, "secret.txt"), "utf8")).toBe("secret");
  });

  it.runIf(process.platform === "linux")(
    "is not followed while another process swaps it in and out",
    async () => {
      await mkdir(join(root, "folder"));
      await writeFile(join(root, "folder", "secret.txt"), "mine");
      const code = `const fs = require("node:fs"); const [root, outside] = process.argv.slice(1);
      process.chdir(root); fs.symlinkSync(outside, "evil"); console.log("up");
      for (;;) { fs.renameSync("folder", "aside"); fs.renameSync("evil", "folder"); fs.renameSync("folder", "evil"); fs.renameSync("aside", "folder"); }`;
      const swapper = spawn(process.execPath, ["-e", code, root, outside], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      try {
        await once(swapper.stdout, "data");
        let [refused, done] = [0, 0];
        const until = Date.now() + 1_500;
        while (Date.now() < until) {
          const attempt = async (): Promise<void> => {
            const place = await placeOf(root, "folder/secret.txt");
            await writeInside(root, place, { bytes: Buffer.from("mine") });
            expect(
              (await readInside(root, await placeOf(root, "folder/secret.txt"), 100)).bytes.toString(),
            ).toBe("mine");
          };
          await attempt().then(
            () => (done += 1),
            (error) => {
              if (error instanceof Error && error.name === "AssertionError") throw error;
              refused += 1;
            },
          );
        }
        expect(refused).toBeGreaterThan(0);
        expect(done).toBeGreaterThan(0);
      } finally {
        swapper.kill("SIGKILL");
      }
      expect(await readdir(outside)).toEqual(["secret.txt"]);
      expect(await readFile(join(outside, "secret.txt"), "utf8")).toBe("secret");
    },
  );
});
