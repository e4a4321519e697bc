import { expect, it } from "vitest";
import { operatingSystem, programsOnPath } from "./surroundings.ts";

it("finds the programs that are on the path, and none on an empty one", async () => {
  expect(await programsOnPath(process.env.PATH ?? "")).toContain("node");
  expect(await programsOnPath("")).toEqual([]);
});

it("names the system", () => {
  expect(operatingSystem()).toContain(process.platform);
});
