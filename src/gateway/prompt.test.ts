import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import type { GatewayRequest } from "../contracts/model-gateway.ts";
import type { ModelProvider, ModelRequest } from "../contracts/model-provider.ts";
import { NO_USAGE } from "../domain/message.ts";
import { createRedactor } from "../domain/redact.ts";
import type { Catalogue } from "./catalogue.ts";
import { createModelGateway } from "./gateway.ts";

const { signal } = new AbortController();

function setUp(catalogue: Catalogue) {
  const asked: ModelRequest[] = [];
  const acme: ModelProvider = {
    name: "acme",
    generate: async (request) => {
      asked.push(request);
      const usage = { ...NO_USAGE, input: 1, output: 1 };
      const reply = { text: "ok", toolCalls: [], reasoning: "", finish: "stop" as const, usage };
      return { ok: true, reply: { ...reply, model: request.model, firstTokenMs: 0, ms: 0 } };
    },
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
  };
  const gateway = createModelGateway({
    providers: [{ provider: acme }],
    howToConfigure: "",
    clock: new ManualClock(),
    random: () => 0.5,
    catalogue,
    redactor: createRedactor([{ name: "DEPLOY_TOKEN", value: "open-sesame-open" }]),
  });
  const call = (request: Partial<GatewayRequest>) =>
    gateway.call(
      {
        use: "acme/small",
        stage: "execute",
        system: "rules",
        messages: [{ role: "user", text: "task" }],
        tools: [],
        maxOutputTokens: 1_000,
        ...request,
      },
      { signal },
    );
  return { asked, call };
}
const windows = (small: number, big: number | null = null): Catalogue => ({
  "acme/small": { contextTokens: small },
  "acme/big": { contextTokens: big },
});
const result = (text: string) => ({ callId: "1", name: "read", text, isError: false });

describe("secrets", () => {
  const token = `ghp_${"aB3x".repeat(9)}`;
  const messages: GatewayRequest["messages"] = [
    { role: "user", text: "deploy with open-sesame-open" },
    {
      role: "assistant",
      text: "",
      toolCalls: [{ id: "1", name: "bash", input: { command: `curl -u ${token}` } }],
    },
    { role: "tool", results: [result(`token is ${token}, open-sesame-open`)] },
  ];

  test("never reach a provider, in whatever part of the request, and the record says which kinds", async () => {
    const { asked, call } = setUp(windows(100_000));
    const tools = [
      { name: "x", description: "uses open-sesame-open", input: { default: "open-sesame-open" } },
      { name: "y", description: "plain text here", input: {} },
    ];
    const done = await call({ system: `never say open-sesame-open`, messages, tools });
    const sent = JSON.stringify(asked);
    expect(sent).not.toContain("sesame");
    expect(sent).not.toContain(token);
    expect(sent).toContain("deploy with [redacted:DEPLOY_TOKEN]");
    expect(sent).toContain("curl -u [redacted:github-token]");
    expect(done.record.redacted).toEqual({ DEPLOY_TOKEN: 5, "github-token": 2 });
    expect(JSON.stringify(done.record)).not.toContain("sesame");
  });

  test("are replaced by the same every time, so that what was cached stays cached", async () => {
    const { asked, call } = setUp(windows(100_000));
    await call({ messages });
    await call({ messages: [...messages, { role: "user", text: "and now?" }] });
    expect(asked[1]?.messages.slice(0, 3)).toEqual(asked[0]?.messages);
    // The very objects: nothing is searched twice.
    expect(asked[1]?.messages[2]).toBe(asked[0]?.messages[2]);
  });

  test("a request without any is sent as it is, and its record says nothing of it", async () => {
    const { asked, call } = setUp(windows(100_000));
    const clean: GatewayRequest["messages"] = [{ role: "user", text: "plain text here" }];
    const done = await call({ messages: clean });
    expect(asked[0]?.messages).toBe(clean);
    expect(done.record).not.toHaveProperty("redacted");
    expect(done.record).not.toHaveProperty("capped");
  });
});

describe("prompts that are too long", () => {
  const messages: GatewayRequest["messages"] = [
    { role: "user", text: "the task" },
    { role: "assistant", text: "reading", toolCalls: [{ id: "1", name: "read", input: {} }] },
    { role: "tool", results: [result("x".repeat(60_000))] },
    { role: "user", text: "go on" },
  ];

  test("lose the middle of the longest results, visibly, and the record says how much", async () => {
    const { asked, call } = setUp(windows(8_000));
    const done = await call({ messages });
    expect(done.ok).toBe(true);
    const [task, reply, tool, last] = asked[0]!.messages;
    expect([task, reply, last]).toEqual([messages[0], messages[1], messages[3]]);
    const text = tool?.role === "tool" ? tool.results[0]!.text : "";
    expect(text).toMatch(/^x+\n… \[\d+ characters left out\] …\nx+$/);
    expect(done.record.capped).toEqual({
      budgetTokens: 7_000,
      beforeTokens: expect.any(Number),
      afterTokens: expect.any(Number),
      results: 1,
      texts: 0,
      task: false,
      chars: 60_000 - text.length,
    });
    // Room for text that has three characters a token.
    expect(text.length / 3).toBeLessThanOrEqual(7_000);
    expect(text.length / 3).toBeGreaterThan(6_900);
  });

  test("are whole where one candidate has room, or a window nobody knows", async () => {
    for (const big of [200_000, null]) {
      const { asked, call } = setUp(windows(8_000, big));
      const done = await call({ messages, use: "acme/small,acme/big" });
      expect(asked[0]).toMatchObject({ model: "big", messages });
      expect(done.record).not.toHaveProperty("capped");
    }
  });

  test("fit a model that may take the call, not one that may not", async () => {
    const { asked, call } = setUp({ ...windows(8_000), "acme/big": { contextTokens: 200_000, quality: 1 } });
    const done = await call({ messages, use: "acme/small,acme/big", minQuality: 2 });
    expect(asked[0]).toMatchObject({ model: "small" });
    expect(done.record.capped?.budgetTokens).toBe(7_000);
  });

  test("fail where the caller wants that, and where even the rest does not fit", async () => {
    const { asked, call } = setUp(windows(8_000));
    const overflow = { ok: false, failure: { code: "model_context_overflow" } };
    expect(await call({ messages, tooLong: "fail" })).toMatchObject(overflow);
    expect(await call({ messages, system: "s".repeat(60_000) })).toMatchObject(overflow);
    expect(asked).toEqual([]);
  });

  test("the system's rules are never cut, and the last word only as the last resort, with a mark", async () => {
    const { asked, call } = setUp(windows(8_000));
    const system = "r".repeat(8_000);
    const done = await call({ system, messages: [{ role: "user", text: "t".repeat(40_000) }] });
    expect(asked[0]?.system).toBe(system);
    expect(done.record.capped).toMatchObject({ results: 0, texts: 1, task: true });
    expect(JSON.stringify(asked[0]?.messages)).toContain("characters left out");
  });
});
