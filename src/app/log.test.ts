import { expect, test } from "vitest";
import { createRedactor } from "../domain/redact.ts";
import { createLog } from "./log.ts";

test("no line of the log has a secret, wherever it was put", () => {
  const lines: string[] = [];
  const redactor = createRedactor([{ name: "API_TOKEN", value: "open-sesame" }]);
  const log = createLog("info", redactor, { write: (line) => void lines.push(line) });
  const secret = `ghp_${"aB3x".repeat(9)}`;
  log.info({ url: "http://host/open-sesame", err: new Error(`bad ${secret}`) }, "asked with open-sesame");
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/open-sesame|ghp_/);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    url: "http://host/[redacted:API_TOKEN]",
    err: { message: "bad [redacted:github-token]" },
    msg: "asked with [redacted:API_TOKEN]",
  });
});
