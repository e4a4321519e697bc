import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ArtifactStore } from "./artifact-store.ts";

export interface ArtifactStoreMaker {
  readonly name: string;
  open(): Promise<{ readonly store: ArtifactStore; close(): Promise<void> }>;
}

/** What every artifact store does. */
export function artifactStoreSuite(maker: ArtifactStoreMaker): void {
  describe(`artifact store: ${maker.name}`, () => {
    let opened: Awaited<ReturnType<ArtifactStoreMaker["open"]>>;
    beforeEach(async () => {
      opened = await maker.open();
    });
    afterEach(async () => opened.close());

    const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

    it("gives back what was put, by its hash", async () => {
      const put = await opened.store.put("Größe: 1 µm\n");
      expect(put).toEqual({ sha256: sha256("Größe: 1 µm\n"), bytes: 15 });
      expect(Buffer.from((await opened.store.get(put.sha256)) ?? []).toString()).toBe("Größe: 1 µm\n");
    });

    it("takes bytes as they are, and nothing at all", async () => {
      const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) % 256);
      const put = await opened.store.put(bytes);
      expect(put).toEqual({ sha256: sha256(bytes), bytes: bytes.length });
      expect(Buffer.compare((await opened.store.get(put.sha256)) ?? new Uint8Array(), bytes)).toBe(0);
      const empty = await opened.store.put("");
      expect(await opened.store.get(empty.sha256)).toHaveLength(0);
    });

    it("keeps equal contents once, also when they come at the same time", async () => {
      const puts = await Promise.all(Array.from({ length: 8 }, () => opened.store.put("same")));
      expect(new Set(puts.map((put) => put.sha256)).size).toBe(1);
      expect(await opened.store.get(puts[0]!.sha256)).toHaveLength(4);
    });

    it("says null for what it does not have, and refuses what is no hash", async () => {
      expect(await opened.store.get("0".repeat(64))).toBeNull();
      for (const bad of ["", "../../etc/passwd", "A".repeat(64), `${"a".repeat(62)}/b`]) {
        await expect(opened.store.get(bad)).rejects.toMatchObject({ failure: { code: "invalid_request" } });
      }
    });
  });
}
