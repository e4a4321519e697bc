import { expect, it } from "vitest";
import { runRecord } from "../../domain/run-record.ts";
import { request } from "../../domain/testing.suite.ts";
import { reportText } from "./report-text.ts";

it("a renamed file is told with where it was", () => {
  const record = runRecord([{ kind: "run_queued", request: request(), seq: 1, at: 0 }], {
    run: "run_1",
    sandbox: "host",
    allowlistRoot: null,
    filesModified: null,
  });
  if (record === null) throw new Error("no record");
  const numbers = { insertions: 1, deletions: 2, binary: false };
  const files = [
    { path: "new|name.ts", from: "old.ts", status: "renamed", ...numbers } as const,
    { path: "plain.ts", status: "modified", ...numbers } as const,
  ];
  const text = reportText(record, { title: "t", files, endings: [] });
  expect(text).toMatch(/^\| old\.ts → new.*name\.ts \| renamed \| \+1 \| -2 \|$/m);
  expect(text).toContain("| plain.ts | modified | +1 | -2 |");
});
