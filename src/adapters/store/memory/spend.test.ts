import { spendLedgerSuite } from "../../../contracts/spend-ledger.suite.ts";
import { createMemoryStore } from "./store.ts";

spendLedgerSuite({ name: "memory", open: async (clock) => createMemoryStore({ clock }) });
