import { readdirSync, readFileSync } from "node:fs";
import type { GatewayRequest } from "../src/contracts/model-gateway.ts";
import { createRedactor } from "../src/domain/redact.ts";
import { Censor } from "../src/gateway/censor.ts";

// What taking secrets out costs a call: `node bench/redaction.ts`. A history of 40 kB of code, new, and sent once more.

const HISTORY_CHARS = 40_000;
const ROUNDS = 5_000;
const COLD_ROUNDS = 100;

const folder = new URL("../src/gateway/", import.meta.url);
const code = readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(new URL(name, folder), "utf8"))
  .join("\n");
const secrets = Array.from({ length: 10 }, (_, n) => ({
  name: `KEY_${n}`,
  value: `a-secret-value-${n}-q7Zt9LmX`,
}));
const censor = new Censor(createRedactor(secrets));

function history(messages: number): GatewayRequest {
  const chars = Math.ceil(HISTORY_CHARS / messages);
  const text = (n: number) => code.slice((n * 997) % 20_000).slice(0, chars);
  return {
    system: code.slice(0, 4_000),
    stage: "execute",
    maxOutputTokens: 1_000,
    tools: [],
    messages: Array.from({ length: messages }, (_, n) =>
      n % 2 === 0
        ? { role: "user", text: text(n) }
        : { role: "tool", results: [{ callId: "1", name: "read", isError: false, text: text(n) }] },
    ),
  };
}

function quantiles(of: number[]): string {
  const sorted = of.sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]?.toFixed(1);
  return `p50 ${at(0.5)} µs, p99 ${at(0.99)} µs`;
}

function measure(rounds: number, request: () => GatewayRequest): string {
  const took: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const one = request();
    const began = performance.now();
    censor.clean(one);
    took.push((performance.now() - began) * 1_000);
  }
  return quantiles(took);
}

for (const messages of [1, 20, 100]) {
  const cold = measure(COLD_ROUNDS, () => history(messages));
  const known = history(messages);
  censor.clean(known);
  const warm = measure(ROUNDS, () => ({ ...known, messages: [...known.messages] }));
  console.log(`${messages} messages: all new ${cold}; sent before ${warm}`);
}
