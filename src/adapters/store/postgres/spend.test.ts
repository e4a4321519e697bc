import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyDatabase, startPostgres, type TestPostgres } from "../../../../tests/support/postgres.ts";
import { manualClock } from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { cap, reserve, settle, spendLedgerSuite } from "../../../contracts/spend-ledger.suite.ts";
import { openPostgresStore } from "./open.ts";

let server: TestPostgres;
let url: string;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
});
afterAll(() => server.stop());

const maker = {
  name: "postgres",
  async open(clock: Parameters<typeof openPostgresStore>[0]["clock"]) {
    const opened = await openPostgresStore({ url, clock, beats: "none" });
    return {
      ...opened,
      async close() {
        await opened.close();
        await emptyDatabase(url);
      },
    };
  },
};

spendLedgerSuite(maker);

describe("PostgreSQL itself refuses", () => {
  const breaches: Readonly<Record<string, string>> = {
    "committed money that is taken back": "UPDATE spend_account SET committed = committed - 1",
    "a warning that is taken back": "UPDATE spend_account SET warned = false",
    "a hold below nothing": "UPDATE spend_account SET held = -1",
    "a change to what is settled": "UPDATE spend SET charged = 1 WHERE id = 'a'",
    "a hold that was charged already": "UPDATE spend SET charged = 1 WHERE id = 'b'",
    "an end without its time": "UPDATE spend SET state = 'settled' WHERE id = 'b'",
    "a state that does not exist": "UPDATE spend SET state = 'lost' WHERE id = 'b'",
  };
  it("what would falsify the ledger", async () => {
    const opened = await maker.open(manualClock());
    const sql = new pg.Client({ connectionString: url });
    await sql.connect();
    try {
      await opened.spend.apply([settle("a", 5), reserve("b", 5)]);
      await sql.query("UPDATE spend_account SET warned = true");
      for (const [what, breach] of Object.entries(breaches)) {
        await expect(sql.query(breach), what).rejects.toMatchObject({
          code: expect.stringMatching(/^23/) as string,
        });
      }
    } finally {
      await sql.end();
      await opened.close();
    }
  });
});

describe("several processes on one PostgreSQL", () => {
  it("hold and settle on accounts in any order without waiting for each other for ever", async () => {
    const ledgers = await Promise.all([1, 2, 3, 4].map(() => maker.open(manualClock())));
    const names = ["a", "b", "c", "d", "e"];
    const limit = 700;
    const capOf = (name: string) => cap(limit, { scope: "tenant", name });
    const work = ledgers.flatMap(({ spend }, process) =>
      Array.from({ length: 40 }, async (_, n) => {
        const id = `${process}-${n}`;
        // Every one names other accounts, in another order.
        const turned = [...names.slice(n % 5), ...names.slice(0, n % 5)];
        const picked = process % 2 === 0 ? turned.slice(0, 4) : turned.slice(0, 4).reverse();
        const allowances = picked.map(capOf);
        const [held] = await spend.apply([reserve(id, 10, { allowances })]);
        if (held?.kind !== "granted") return 0;
        await spend.apply([settle(id, 9, { allowances })]);
        return 9 * allowances.length;
      }),
    );
    const spent = (await Promise.all(work)).reduce((sum, one) => sum + one, 0);
    const accounts = await ledgers[0]!.spend.accountsFrom({ prefix: "tenant:", after: null, limit: 10 });
    expect(accounts.map((one) => one.held)).toEqual([0, 0, 0, 0, 0]);
    expect(accounts.reduce((sum, one) => sum + one.committed, 0)).toBe(spent);
    for (const account of accounts) expect(account.committed).toBeLessThanOrEqual(limit);
    await Promise.all(ledgers.map((one) => one.close()));
  });
});
