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
  await mkdir(join(outside, "inner"));
  for (const path of ["secret.txt", "inner/secret.txt"]) await writeFile(join(outside, path), "secret");
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
  const untouched = async (): Promise<void> => {
    expect((await readdir(outside, { recursive: true })).sort()).toEqual([
      "inner",
      "inner/secret.txt",
      "secret.txt",
    ]);
    for (const path of ["secret.txt", "inner/secret.txt"]) {
      expect(await readFile(join(outside, path), "utf8")).toBe("secret");
    }
  };

  it.each(["folder", "folder/inner"])(
    "is not followed when it is a folder above the file (%s)",
    async (swapped) => {
      await mkdir(join(root, "folder", "inner"), { recursive: true });
      await writeFile(join(root, "folder", "inner", "secret.txt"), "mine");
      const place = await placeOf(root, "folder/inner/secret.txt");
      const parent = await placeOf(root, "folder/inner");
      await rm(join(root, swapped), { recursive: true });
      await symlink(swapped === "folder" ? outside : join(outside, "inner"), join(root, swapped));
      await expect(readInside(root, place, 1_000)).rejects.toThrow(FailureError);
      await expect(writeInside(root, place, { bytes: Buffer.from("planted") })).rejects.toThrow(FailureError);
      await expect(removeInside(root, place)).rejects.toThrow(FailureError);
      await expect(listInside(root, parent)).rejects.toThrow(FailureError);
      await untouched();
    },
  );

  it("is not followed when it is the file itself", async () => {
    const place = await placeOf(root, "file.txt");
    await symlink(join(outside, "secret.txt"), join(root, "file.txt"));
    await expect(readInside(root, place, 1_000)).rejects.toThrow(FailureError);
    await expect(writeInside(root, place, { bytes: Buffer.from("planted") })).rejects.toThrow(FailureError);
    await untouched();
  });

  it.runIf(process.platform === "linux")(
    "is not followed while another process swaps it in and out",
    async () => {
      await mkdir(join(root, "folder", "inner"), { recursive: true });
      await writeFile(join(root, "folder", "inner", "secret.txt"), "mine");
      const code = `const fs = require("node:fs"); const [root, outside] = process.argv.slice(1);
      const pause = (us) => { const until = performance.now() + us / 1000; while (performance.now() < until); };
      process.chdir(root); fs.symlinkSync(outside, "evil"); console.log("up");
      for (;;) {
        fs.renameSync("folder", "aside"); fs.renameSync("evil", "folder"); pause(300);
        fs.renameSync("folder", "evil"); fs.renameSync("aside", "folder"); pause(300);
      }`;
      const swapper = spawn(process.execPath, ["-e", code, root, outside], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      let refused = 0;
      const attempt = async (): Promise<void> => {
        const place = await placeOf(root, "folder/inner/secret.txt");
        await writeInside(root, place, { bytes: Buffer.from("mine") });
        const { bytes } = await readInside(root, await placeOf(root, "folder/inner/secret.txt"), 100);
        if (bytes.toString() !== "mine") throw new RangeError(`read from outside: ${bytes}`);
      };
      try {
        await once(swapper.stdout, "data");
        const until = Date.now() + 2_000;
        while (Date.now() < until && refused < 300) {
          await attempt().catch((error: unknown) => {
            if (error instanceof RangeError) throw error;
            refused += 1;
          });
        }
      } finally {
        swapper.kill("SIGKILL");
      }
      expect(refused).toBeGreaterThan(0);
      await untouched();
    },
  );
});
