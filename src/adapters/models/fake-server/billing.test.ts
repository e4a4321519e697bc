import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { realClock } from "../../../../tests/support/real-clock.ts";
import { parseScript } from "../script/parse.ts";
import type { Bill, BillingView } from "./billing.ts";
import { type FakeModels, startFakeModels } from "./server.ts";

// The books are compared with what raw sockets were given: no adapter, no gateway and none of their estimates.

const script = parseScript(
  `
name: demo
turns:
  - when: { system_contains: broken }
    fault: { kind: truncated, times: always }
    text: "0123456789 0123456789 0123456789 0123456789"
    usage: { input: 100, output: 40 }
  - times: always
    text: "0123456789 0123456789 0123456789 0123456789"
    reasoning: hm
    usage: { input: 100, cache_read: 30, cache_write: 10, output: 40, reasoning: 4 }
`,
  "demo.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

const prices = { demo: { input: 2, cacheRead: 0.2, cacheWrite: 2.5, output: 10 } };
const WHOLE = { input: 100, cacheRead: 30, cacheWrite: 10, output: 40, reasoning: 4 };
/** 100 × 2 + 30 × 0.2 + 10 × 2.5 + 44 × 10 */
const WHOLE_MICROS = 671;

let fake: FakeModels;
const ended: Bill[] = [];
let heard: (() => void) | null = null;
beforeAll(async () => {
  fake = await startFakeModels({
    scripts: [script.value],
    clock: realClock,
    prices,
    onBill: (bill) => {
      ended.push(bill);
      heard?.();
    },
  });
});
afterAll(() => fake.close());
beforeEach(async () => {
  ended.length = 0;
  await fetch(`${fake.url}/__fake/ledger`, { method: "DELETE" });
});

async function nextBill(): Promise<Bill> {
  while (ended.length === 0) {
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
  return ended.shift()!;
}

const WIRES: Readonly<Record<string, { readonly path: string; readonly body: object }>> = {
  anthropic: {
    path: "/v1/messages",
    body: { model: "demo", stream: true, max_tokens: 9, messages: [{ role: "user", content: "hi" }] },
  },
  openai: {
    path: "/v1/chat/completions",
    body: { model: "demo", stream: true, messages: [{ role: "user", content: "hi" }] },
  },
  google: {
    path: "/v1beta/models/demo:streamGenerateContent?alt=sse",
    body: { contents: [{ role: "user", parts: [{ text: "hi" }] }] },
  },
  ollama: { path: "/api/chat", body: { model: "demo", messages: [{ role: "user", content: "hi" }] } },
};

function ask(wire: string, headers: Readonly<Record<string, string>> = {}, change: object = {}) {
  const { path, body } = WIRES[wire]!;
  return fetch(`${fake.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ ...body, ...change }),
  });
}

/** Reads until `enough` of what came, then hangs up. */
function hangUp(
  wire: string,
  of: { readonly headers?: Readonly<Record<string, string>>; readonly enough: (got: string) => boolean },
) {
  const { path, body } = WIRES[wire]!;
  return new Promise<string>((resolve, reject) => {
    let got = "";
    const sent = httpRequest(`${fake.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...of.headers },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.setEncoding("utf8");
      response.on("error", () => {});
      response.on("data", (chunk: string) => {
        got += chunk;
        if (!of.enough(got)) return;
        sent.destroy();
        resolve(got);
      });
    });
    sent.end(JSON.stringify(body));
  });
}

const ledger = async (query = "") =>
  (await (await fetch(`${fake.url}/__fake/ledger${query}`)).json()) as BillingView;

describe.each(Object.keys(WIRES))("%s", (wire) => {
  test("bills a whole answer as it said, and tells the client its number", async () => {
    const response = await ask(wire, { "x-fake-tag": "a" });
    await response.text();
    const bill = await nextBill();
    expect(bill).toMatchObject({
      wire,
      model: "demo",
      tag: "a",
      end: "answered",
      terminal: true,
      told: true,
    });
    expect(bill).toMatchObject({ tokens: WHOLE, costMicros: WHOLE_MICROS, abortedAt: null });
    expect(bill.sent).toBe(bill.of);
    expect(response.headers.get("request-id")).toBe(bill.id);
    const view = await ledger();
    expect(view.totals).toEqual({ requests: 1, billed: 1, tokens: WHOLE, costMicros: WHOLE_MICROS });
    expect(view.byModel.demo).toEqual(view.totals);
    expect(view.entries).toEqual([bill]);
    expect(await ledger("?entries=0")).toEqual({ ...view, entries: [] });
  });

  test("bills what was emitted when the client hangs up in the answer", async () => {
    // A pause that outlasts the test: nothing more is emitted between the first piece of text and the end.
    const got = await hangUp(wire, {
      headers: { "x-fake-wire": "pace=60000" },
      enough: (text) => text.includes('"h"'),
    });
    expect(got).not.toContain("0123456789");
    const bill = await nextBill();
    expect(bill).toMatchObject({ end: "aborted", terminal: false, told: false, sent: 1 });
    expect(bill.abortedAt).toBe(bill.endedAt);
    // One piece of so many of 44 tokens, of which 4 were thought first.
    const emitted = Math.ceil(44 / bill.of);
    const reasoning = Math.min(4, emitted);
    expect(bill.tokens).toEqual({ ...WHOLE, reasoning, output: emitted - reasoning });
    expect(bill.costMicros).toBe(231 + 10 * emitted);
  });

  test("bills the prompt alone when the client leaves before the first word", async () => {
    const leave = new AbortController();
    const pending = fetch(`${fake.url}${WIRES[wire]!.path}`, {
      method: "POST",
      headers: { "x-fake-fault": "hang", "content-type": "application/json" },
      body: JSON.stringify(WIRES[wire]!.body),
      signal: leave.signal,
    }).catch(() => "left");
    await expect.poll(async () => (await ledger()).open).toBe(1);
    leave.abort();
    expect(await pending).toBe("left");
    const bill = await nextBill();
    expect(bill).toMatchObject({
      end: "aborted",
      fault: "hang",
      sent: 0,
      tokens: { ...WHOLE, output: 0, reasoning: 0 },
    });
  });

  test.each(["overloaded", "rate_limited", "unavailable", "auth", "html", "empty", "error_first"])(
    "bills nothing for %s",
    async (kind) => {
      await (await ask(wire, { "x-fake-fault": kind })).text();
      const bill = await nextBill();
      expect(bill).toMatchObject({ fault: kind, costMicros: 0, terminal: false });
      expect(bill.end).toBe(kind === "empty" ? "broken" : "rejected");
      expect((await ledger()).totals).toMatchObject({ requests: 1, billed: 0, costMicros: 0 });
    },
  );

  test("bills the part of an answer that it broke itself, and all of one without a word of usage", async () => {
    await (await ask(wire, { "x-fake-fault": "truncated" })).text();
    const half = await nextBill();
    expect(half).toMatchObject({ end: "broken", terminal: false, told: false });
    expect(half.sent).toBeGreaterThan(0);
    expect(half.sent).toBeLessThan(half.of);
    expect(half.tokens.output + half.tokens.reasoning).toBe(Math.ceil((44 * half.sent) / half.of));
    await (await ask(wire, { "x-fake-fault": "no_usage" })).text();
    expect(await nextBill()).toMatchObject({
      end: "answered",
      terminal: true,
      told: false,
      costMicros: WHOLE_MICROS,
    });
  });
});

test("an answer in one piece was made before it was sent", async () => {
  await (await ask("openai", {}, { stream: false })).text();
  expect(await nextBill()).toMatchObject({ end: "answered", sent: 1, of: 1, tokens: WHOLE });
});

test("a script's own fault is billed like one that was asked for", async () => {
  const messages = [
    { role: "system", content: "broken" },
    { role: "user", content: "hi" },
  ];
  await (await ask("openai", {}, { messages })).text();
  expect(await nextBill()).toMatchObject({ end: "broken", fault: "truncated" });
});

test("what is not understood is rejected, and a model without a price has the common one", async () => {
  await (await ask("openai", {}, { model: "demo/nobody" })).text();
  expect(await nextBill()).toMatchObject({ end: "rejected", costMicros: 0 });
  await (await ask("openai", {}, { model: "other" })).text();
  // 100 × 3 + 30 × 0.3 + 10 × 3.75 + 44 × 15 = 1006.5
  expect(await nextBill()).toMatchObject({ model: "other", costMicros: 1_007 });
});

test("a reset forgets what is under way, too", async () => {
  const leave = new AbortController();
  const pending = fetch(`${fake.url}/api/chat`, {
    method: "POST",
    headers: { "x-fake-fault": "hang" },
    body: JSON.stringify(WIRES.ollama!.body),
    signal: leave.signal,
  }).catch(() => "left");
  await expect.poll(async () => (await ledger()).open).toBe(1);
  await fetch(`${fake.url}/__fake/ledger`, { method: "DELETE" });
  leave.abort();
  expect(await pending).toBe("left");
  await nextBill();
  expect(await ledger()).toMatchObject({ open: 0, entries: [], totals: { requests: 0, costMicros: 0 } });
});

test("the server's own behaviour comes before the script's", async () => {
  const moody = await startFakeModels({
    scripts: [script.value],
    clock: realClock,
    behave: ({ model }) => (model === "sick" ? { fault: { kind: "overloaded" } } : {}),
  });
  const asked = (model: string) =>
    fetch(`${moody.url}/api/chat`, {
      method: "POST",
      body: JSON.stringify({ ...WIRES.ollama!.body, model, stream: false }),
    });
  expect((await asked("sick")).status).toBe(503);
  expect((await asked("well")).status).toBe(200);
  await moody.close();
});
