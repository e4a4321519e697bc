import { describe, expect, it } from "vitest";
import { canMountSmallDisk, runOnSmallDisk } from "../support/small-disk.ts";

describe.runIf(canMountSmallDisk())("on a disk that is full, and then read-only", () => {
  it("artifacts are refused whole, and kept again when there is space", () => {
    expect(runOnSmallDisk(new URL("artifacts-on-full-disk.ts", import.meta.url), 1_100)).toEqual({
      full: "disk_full",
      temporary: 0,
      afterwards: "ok",
      readOnly: "read_only",
      stillThere: true,
    });
  });

  it("the store refuses what does not fit, half-writes nothing, and goes on when there is space", () => {
    expect(runOnSmallDisk(new URL("store-on-full-disk.ts", import.meta.url), 3_000)).toEqual({
      full: "disk_full",
      admitted: "disk_full",
      consistent: true,
      afterwards: "ok",
      readOnly: "read_only",
      filled: true,
    });
  });
});
