import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { admission, signal } from "../../src/contracts/run-store-suite/fixtures.suite.ts";

/** Another process that admits a run and posts to one. */
const clock = { now: () => Date.now(), after: () => () => undefined };
const { store, close } = await openSqliteStore({ path: process.argv[2] ?? "", clock });
await store.admit([admission("run_from_outside")]);
await store.post([signal("run_1", "from-outside")]);
await close();
