import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { artifactStoreSuite } from "../../../contracts/artifact-store.suite.ts";
import { createLocalArtifacts } from "./store.ts";

artifactStoreSuite({
  name: "local",
  async open() {
    const folder = mkdtempSync(join(tmpdir(), "agent-runner-artifacts-"));
    return {
      store: createLocalArtifacts(join(folder, "not", "there", "yet")),
      close: async () => rmSync(folder, { recursive: true, force: true }),
    };
  },
});

describe("local artifacts", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "agent-runner-artifacts-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const fileOf = (sha256: string) => join(folder, sha256.slice(0, 2), sha256.slice(2));

  it("are plain files, and nothing else is left behind", async () => {
    const { sha256 } = await createLocalArtifacts(folder).put("patch");
    expect(readdirSync(folder)).toEqual([sha256.slice(0, 2)]);
    expect(readdirSync(join(folder, sha256.slice(0, 2)))).toEqual([sha256.slice(2)]);
  });

  it("that were changed on disk are told of, and a truncated one is healed by putting it again", async () => {
    const store = createLocalArtifacts(folder);
    const { sha256 } = await store.put("patch");
    writeFileSync(fileOf(sha256), "hctap");
    await expect(store.get(sha256)).rejects.toMatchObject({ failure: { code: "store_corrupt" } });
    writeFileSync(fileOf(sha256), "pa");
    await store.put("patch");
    expect(Buffer.from((await store.get(sha256)) ?? []).toString()).toBe("patch");
  });

  it("leave no half-written file when a write fails", async () => {
    const store = createLocalArtifacts(folder);
    const { sha256 } = await store.put("patch");
    rmSync(fileOf(sha256));
    // A folder where the file belongs: the rename fails, as it would on a broken disk.
    mkdirSync(join(fileOf(sha256), "in-the-way"), { recursive: true });
    await expect(store.put("patch")).rejects.toMatchObject({ failure: { code: "unavailable" } });
    expect(readdirSync(join(folder, sha256.slice(0, 2)))).toEqual([sha256.slice(2)]);
  });

  it("cannot be kept below a file", async () => {
    writeFileSync(join(folder, "file"), "");
    const store = createLocalArtifacts(join(folder, "file"));
    await expect(store.put("x")).rejects.toMatchObject({ failure: { code: "unavailable" } });
    expect(await store.get("0".repeat(64))).toBeNull();
  });
});
