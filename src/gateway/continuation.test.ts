import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import type { GatewayRequest } from "../contracts/model-gateway.ts";
import type { ModelProvider, ModelRequest } from "../contracts/model-provider.ts";
import { type Failure, failure } from "../domain/errors.ts";
import { NO_USAGE } from "../domain/message.ts";
import { withoutRepetition } from "./continuation.ts";
import { createModelGateway, type GatewayOptions } from "./gateway.ts";

const { signal } = new AbortController();

/** One attempt: what is heard of it, and whether it breaks off then. */
interface Part {
  readonly says: readonly string[];
  readonly kind?: "text" | "tool" | "reasoning";
  readonly breaks?: Failure;
}

const TRUNCATED = failure("model_truncated", "the stream ended early");

function setUp(parts: readonly Part[], routing: GatewayOptions["routing"] = { afterContent: "continue" }) {
  const clock = new ManualClock();
  const asked: ModelRequest[] = [];
  const acme: ModelProvider = {
    name: "acme",
    generate: async (request, { onDelta }) => {
      const part = parts[Math.min(asked.length, parts.length - 1)]!;
      asked.push(request);
      for (const text of part.says) onDelta?.({ kind: part.kind ?? "text", text });
      if (part.breaks !== undefined) return { ok: false, failure: part.breaks };
      const usage = { ...NO_USAGE, input: 10, output: part.says.length };
      const reply = {
        text: part.says.join(""),
        toolCalls: [],
        reasoning: "",
        finish: "stop" as const,
        usage,
      };
      return {
        ok: true,
        reply: { ...reply, model: "m", firstTokenMs: 0, ms: 0, providerData: { marks: "of this part" } },
      };
    },
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
  };
  const gateway = createModelGateway({
    providers: [{ provider: acme, defaultModel: "m" }],
    howToConfigure: "",
    clock,
    random: () => 0.5,
    routing,
  });
  const heard: string[] = [];
  let restarts = 0;
  const call = (more: Partial<GatewayRequest> = {}, restart = true) =>
    clock.run(
      gateway.call(
        {
          stage: "execute",
          system: "",
          messages: [{ role: "user", text: "tell a story" }],
          tools: [],
          maxOutputTokens: 100,
          ...more,
        },
        {
          signal,
          onDelta: (delta) => heard.push(delta.text),
          ...(restart && {
            onRestart: () => {
              restarts += 1;
              heard.length = 0;
            },
          }),
        },
      ),
    );
  return { call, asked, heard: () => heard.join(""), restarts: () => restarts };
}

describe("an answer that breaks off", () => {
  const once = "Once upon a time there was a small fox";

  test("is gone on with where it ended, and nothing of it is said twice", async () => {
    const { call, asked, heard, restarts } = setUp([
      { says: ["Once upon a time ", "there was a small fox"], breaks: TRUNCATED },
      { says: [" that lived", " in a wood."] },
    ]);
    const done = await call({}, false);
    expect(done).toMatchObject({ ok: true, reply: { text: `${once} that lived in a wood.` } });
    expect(heard()).toBe(`${once} that lived in a wood.`);
    expect(restarts()).toBe(0);
    expect(asked[1]?.messages).toMatchObject([
      { role: "user", text: "tell a story" },
      { role: "assistant", text: once },
      { role: "user", text: expect.stringMatching(/^Your answer above was cut off/) },
    ]);
    expect(done.record).toMatchObject({
      continued: 1,
      attempts: [{ code: "model_truncated" }, { code: "ok" }],
    });
    expect(done.ok && done.reply).not.toHaveProperty("providerData");
  });

  test("loses what the model repeats: its last words, or all of it", async () => {
    for (const says of [
      ["there was a small fox that lived ", "in a wood."],
      [once, " that lived in a wood."],
      [`${once} that lived in a wood.`],
    ]) {
      const { call, heard } = setUp([{ says: [once], breaks: TRUNCATED }, { says }]);
      const done = await call();
      expect(done).toMatchObject({ ok: true, reply: { text: `${once} that lived in a wood.` } });
      expect(heard()).toBe(`${once} that lived in a wood.`);
    }
  });

  test("may break off more than once, also before the next word", async () => {
    const { call, asked, heard } = setUp([
      { says: ["Once upon a time "], breaks: TRUNCATED },
      { says: [], breaks: failure("model_overloaded", "busy") },
      { says: ["there was a small fox "], breaks: TRUNCATED },
      { says: ["in a wood."] },
    ]);
    const done = await call();
    expect(heard()).toBe("Once upon a time there was a small fox in a wood.");
    expect(done).toMatchObject({ ok: true, reply: { text: heard() }, record: { continued: 2 } });
    expect(asked[3]?.messages[1]).toMatchObject({ text: "Once upon a time there was a small fox " });
  });

  test("is begun anew when it was half a tool call, thought, or JSON", async () => {
    for (const [part, more] of [
      [{ says: ["read ", '{"pa'], kind: "tool" as const }, {}],
      [{ says: ["let me think"], kind: "reasoning" as const }, {}],
      [{ says: ['{"a":'] }, { json: { type: "object" } }],
    ] as const) {
      const { call, asked, heard, restarts } = setUp([
        { ...part, breaks: TRUNCATED },
        { says: ["all of it"] },
      ]);
      const done = await call(more);
      expect(done).toMatchObject({ ok: true, reply: { text: "all of it" } });
      expect([heard(), restarts(), asked[1]?.messages.length]).toEqual(["all of it", 1, 1]);
      expect(done.record).not.toHaveProperty("continued");
    }
  });

  test("is begun anew, or the end of the call, unless that is configured", async () => {
    const parts = [{ says: ["Once upon"], breaks: TRUNCATED }, { says: ["all of it"] }];
    const anew = setUp(parts, {});
    expect(await anew.call()).toMatchObject({ ok: true, reply: { text: "all of it" } });
    expect(anew.restarts()).toBe(1);
    const end = setUp(parts, { afterContent: "terminate" });
    expect(await end.call({}, false)).toMatchObject({ ok: false, failure: { code: "model_truncated" } });
    expect(end.heard()).toBe("Once upon");
  });

  test("wherever it is cut and however much is repeated, every word is said once", async () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{3,9}$/), { minLength: 20, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(
        words,
        fc.nat(),
        fc.nat(60),
        fc.integer({ min: 1, max: 30 }),
        async (list, at, back, size) => {
          const text = list.map((word, index) => `${word}${index}`).join(" ");
          const cut = 1 + (at % (text.length - 1));
          const repeated = back < 12 ? 0 : Math.min(back, cut);
          const pieces = (part: string) => part.match(new RegExp(`.{1,${size}}`, "gs")) ?? [];
          const { call, heard } = setUp([
            { says: pieces(text.slice(0, cut)), breaks: TRUNCATED },
            { says: pieces(text.slice(cut - repeated)) },
          ]);
          const done = await call();
          expect(heard()).toBe(text);
          expect(done.ok && done.reply.text).toBe(text);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("a short match may be chance and is kept", () => {
    expect(withoutRepetition("it is the", "the end")).toBe("the end");
    expect(withoutRepetition("", "the end")).toBe("the end");
  });
});

describe("what a tenant may use", () => {
  const call = async (tenant: string | null, options: Partial<GatewayOptions>) => {
    const provider = (name: string): ModelProvider => ({
      name,
      generate: async ({ model }) => {
        const usage = { ...NO_USAGE, input: 1, output: 1 };
        const reply = { text: name, toolCalls: [], reasoning: "", finish: "stop" as const, usage };
        return { ok: true, reply: { ...reply, model, firstTokenMs: 0, ms: 0 } };
      },
      health: async () => ({ status: "ok", detail: "" }),
      models: async () => [],
    });
    const clock = new ManualClock();
    const gateway = createModelGateway({
      providers: [{ provider: provider("eu") }, { provider: provider("us") }, { provider: provider("free") }],
      default: "us/m, eu/m, free/m",
      howToConfigure: "",
      clock,
      random: () => 0.5,
      catalogue: {
        "us/m": { quality: 4, region: "us" },
        "eu/m": { quality: 3, region: "eu" },
        "free/m": { quality: 1 },
      },
      ...options,
    });
    const request: GatewayRequest = {
      stage: "execute",
      system: "",
      messages: [{ role: "user", text: "hi" }],
      tools: [],
      maxOutputTokens: 10,
    };
    const done = await clock.run(gateway.call(request, { signal, payer: { tenant, user: null, runs: [] } }));
    return done.ok ? done.reply.text : `${done.failure.code}: ${done.failure.message}`;
  };

  test("is what everybody may use, and stricter where the tenant's rules are", async () => {
    const tenants = {
      acme: { regions: ["eu"] },
      picky: { deny: ["us/*"], minQuality: 3 as const },
      poor: { allow: ["free/*", "eu/*"], policy: "cost-first" as const, minQuality: 1 as const },
      lost: { allow: ["free/*"] },
    };
    expect(await call(null, { tenants })).toBe("us");
    expect(await call("other", { tenants })).toBe("us");
    expect(await call("acme", { tenants })).toBe("eu");
    expect(await call("picky", { tenants })).toBe("eu");
    expect(await call("lost", { tenants, routing: { allow: ["us/*", "eu/*"] } })).toMatch(
      /^model_unfit: .*not in the tenant's list/,
    );
    expect(await call("lost", { tenants })).toBe("free");
    expect(await call("acme", { tenants, routing: { regions: ["us"] } })).toMatch(
      /region us, \(none in common\) needed/,
    );
    expect(await call("acme", { tenants, routing: { regions: ["eu", "us"] } })).toBe("eu");
    expect(await call(null, { routing: { regions: ["mars"] } })).toMatch(
      /free\/m: region unknown, mars needed/,
    );
  });
});
