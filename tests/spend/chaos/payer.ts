// A process that calls models through the gateway as fast as it is answered, and is killed at any moment.
// Ends by itself when its standard input ends: what is under way is finished and booked.
import { setTimeout as sleep } from "node:timers/promises";
import { openAiCompatibleProvider } from "../../../src/adapters/models/openai-compatible/provider.ts";
import { openPostgresStore } from "../../../src/adapters/store/postgres/open.ts";
import { openSqliteStore } from "../../../src/adapters/store/sqlite/open.ts";
import type { SpendLedger } from "../../../src/contracts/spend-ledger.ts";
import type { Payer } from "../../../src/domain/budget.ts";
import { createModelGateway } from "../../../src/gateway/gateway.ts";
import { SpendDesk } from "../../../src/gateway/spend.ts";
import { realClock } from "../../support/real-clock.ts";
import { type PayerOrder, type Store, TENANTS } from "./shapes.ts";

const TELL_EVERY_MS = 100;
const PER_MILLION = 1_000_000;
/** As the provider charges. */
const PRICE = {
  input: 3 * PER_MILLION,
  cacheRead: 0.3 * PER_MILLION,
  cacheWrite: 3.75 * PER_MILLION,
  output: 15 * PER_MILLION,
};

const order = JSON.parse(process.argv[2] ?? "") as PayerOrder;
const tally = { ok: 0, refused: 0, failed: 0, aborted: 0, problems: 0 };
let stopping = false;

async function open(store: Store): Promise<{ readonly spend: SpendLedger; close(): Promise<void> }> {
  return store.kind === "sqlite"
    ? openSqliteStore({ path: store.path, clock: realClock, busyTimeoutMs: 20_000 })
    : openPostgresStore({ url: store.url, clock: realClock, onPolling: () => undefined });
}

const opened = await open(order.store);
const desk = new SpendDesk({
  ledger: opened.spend,
  settings: () => order.budgets,
  clock: realClock,
  random: Math.random,
  defer: (run) => void setImmediate(run),
  onProblem: () => {
    tally.problems += 1;
  },
});
const gateway = createModelGateway({
  providers: [
    {
      provider: openAiCompatibleProvider({ name: "fake", baseUrl: `${order.fake}/v1` }, { clock: realClock }),
    },
  ],
  howToConfigure: "",
  clock: realClock,
  random: Math.random,
  prices: Object.fromEntries(TENANTS.map((tenant) => [`fake/${tenant}`, PRICE])),
  policy: { maxAttempts: 3, backoff: { initialMs: 20, factor: 2, maxMs: 100 } },
  spend: desk,
});

async function pay(tenant: string, run: string): Promise<void> {
  const taken = Math.random() < 0.05 ? AbortSignal.timeout(30 + Math.floor(Math.random() * 100)) : null;
  const payer: Payer = {
    tenant,
    user: `u${Math.floor(Math.random() * 3)}`,
    runs: [{ id: run, budgetMicros: null }],
  };
  const words = Math.random() < 0.02 ? "Say it at length." : "Say it.";
  const result = await gateway.call(
    {
      use: `fake/${tenant}`,
      stage: "execute",
      system: "You pay for what you say. ".repeat(8),
      messages: [{ role: "user", text: words }],
      tools: [],
      maxOutputTokens: 400,
    },
    {
      signal: taken ?? new AbortController().signal,
      payer,
      onDelta: () => undefined,
      onRestart: () => undefined,
    },
  );
  if (result.ok) tally.ok += 1;
  else if (result.failure.code === "budget_exhausted") {
    tally.refused += 1;
    // Whoever has nothing left does not ask again at once.
    await sleep(100 + Math.random() * 100);
  } else if (result.failure.code === "canceled") tally.aborted += 1;
  else tally.failed += 1;
}

async function payOn(lane: number): Promise<void> {
  for (let n = 0; !stopping; n += 1) {
    const tenant = TENANTS[(lane + n) % TENANTS.length] ?? TENANTS[0];
    await pay(tenant, `run_${order.name}_${lane}`);
  }
}

const telling = setInterval(() => process.stdout.write(`${JSON.stringify(tally)}\n`), TELL_EVERY_MS);
process.stdin.resume();
process.stdin.on("end", () => {
  stopping = true;
});
await Promise.all(Array.from({ length: order.concurrency }, (_, lane) => payOn(lane)));
clearInterval(telling);
await desk.flush();
await opened.close();
process.stdout.write(`${JSON.stringify(tally)}\n`, () => process.exit(0));
