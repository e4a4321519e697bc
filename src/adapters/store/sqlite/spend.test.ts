import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { manualClock } from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { reserve, settle, spendLedgerSuite } from "../../../contracts/spend-ledger.suite.ts";
import { openSqliteStore } from "./open.ts";

async function open(clock = manualClock()) {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-spend-"));
  const path = join(folder, "spend.db");
  const opened = await openSqliteStore({ path, clock, beats: "none" });
  const close = async () => {
    await opened.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...opened, path, close };
}

spendLedgerSuite({ name: "sqlite", open: (clock) => open(clock as ReturnType<typeof manualClock>) });

describe("SQLite itself refuses", () => {
  const breaches: Readonly<Record<string, string>> = {
    "committed money that is taken back": "UPDATE spend_account SET committed = committed - 1",
    "a warning that is taken back": "UPDATE spend_account SET warned = 0",
    "a hold below nothing": "UPDATE spend_account SET held = -1",
    "a presumption below nothing": "UPDATE spend_account SET presumed = -1",
    "a change to what is settled": "UPDATE spend SET charged = 1 WHERE id = 'a'",
    "a hold that was charged already": "UPDATE spend SET charged = 1 WHERE id = 'b'",
    "an end without its time": "UPDATE spend SET state = 'settled' WHERE id = 'b'",
    "a state that does not exist": "UPDATE spend SET state = 'lost' WHERE id = 'b'",
  };
  it.each(Object.entries(breaches))("%s", async (_, sql) => {
    const opened = await open();
    const db = new DatabaseSync(opened.path);
    try {
      await opened.spend.apply([settle("a", 5), reserve("b", 5)]);
      db.exec("UPDATE spend_account SET warned = 1");
      expect(() => db.exec(sql)).toThrow(/constraint|shrinks|never changes/i);
    } finally {
      db.close();
      await opened.close();
    }
  });
});
