// A process that calls models when it is told to, one line of JSON each: what became of them goes out in the same way.
// Ends by itself when its standard input ends.
import { createInterface } from "node:readline";
import { openAiCompatibleProvider } from "../../src/adapters/models/openai-compatible/provider.ts";
import { openPostgresStore } from "../../src/adapters/store/postgres/open.ts";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { systemClock, ticks } from "../../src/app/system-clock.ts";
import { SteadyClock } from "../../src/base/steady-clock.ts";
import { BREAKER } from "../../src/gateway/breaker.ts";
import { createModelGateway } from "../../src/gateway/gateway.ts";
import { HealthBook } from "../../src/gateway/health-book.ts";
import { HealthSharing } from "../../src/gateway/sharing.ts";
import type { CallerAnswer, CallerOrder, CallerWish } from "./shapes.ts";

const OPEN_MS = 300;
/** A store may be slow on a busy machine without being away. */
const ANSWERS_WITHIN_MS = 20_000;

const order = JSON.parse(process.argv[2] ?? "") as CallerOrder;
const { store, self, leaseMs } = order;
const clock = new SteadyClock({ local: systemClock, ticks });
const opened =
  store.kind === "sqlite"
    ? await openSqliteStore({ path: store.path, clock, busyTimeoutMs: 20_000 })
    : await openPostgresStore({ url: store.url, clock, onPolling: () => undefined });
const asked = ticks();
clock.correct({ asked, answered: ticks(), said: await opened.fleet.now() });

const now = () => clock.now();
const health = new HealthBook({
  now,
  random: Math.random,
  breaker: { ...BREAKER, leaseMs, open: { initialMs: OPEN_MS, factor: 2, maxMs: OPEN_MS } },
});
const settings = { name: "fake", baseUrl: `${order.fake}/v1`, headers: { "x-fake-tag": self } };
const gateway = createModelGateway({
  providers: [{ provider: openAiCompatibleProvider(settings, { clock }), account: "tests" }],
  howToConfigure: "",
  default: "fake/first,fake/second",
  clock,
  // The first goes before the second as long as its health lets it, and nothing is explored.
  catalogue: { "fake/first": { quality: 4 }, "fake/second": { quality: 1 } },
  random: () => 0.999,
  health,
});
const say = (answer: CallerAnswer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const sharing = new HealthSharing({
  book: health,
  board: opened.health,
  clock,
  random: Math.random,
  log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  self,
  leaseMs,
  ...(order.patient ? { awayMs: ANSWERS_WITHIN_MS } : {}),
});
sharing.start();
await sharing.look();
say({ id: 0 });

async function fulfil({ id, wish }: CallerWish): Promise<void> {
  if (wish === "states") {
    const listed = gateway.models().filter(({ provider }) => provider === "fake");
    say({
      id,
      states: Object.fromEntries(listed.map(({ model, health: of }) => [model, [of.state, of.from]])),
    });
    return;
  }
  const { signal } = new AbortController();
  const result = await gateway.call(
    {
      stage: "execute",
      system: "",
      messages: [{ role: "user", text: "hi" }],
      tools: [],
      maxOutputTokens: 50,
    },
    { signal },
  );
  const models = result.record.attempts.map(({ model, code }) => `${model} ${code}`);
  say({ id, ok: result.ok, attempts: models });
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => void fulfil(JSON.parse(line) as CallerWish));
lines.once("close", () => {
  void sharing
    .stop()
    .then(() => opened.close())
    .finally(() => process.exit(0));
});
