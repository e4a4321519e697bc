import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { capPrompt } from "./cap-prompt.ts";
import type { Message } from "./message.ts";

const user = (text: string): Message => ({ role: "user", text });
const reply = (text: string): Message => ({ role: "assistant", text, toolCalls: [] });
const results = (...texts: readonly string[]): Message => ({
  role: "tool",
  results: texts.map((text, index) => ({ callId: `${index}`, name: "read", text, isError: false })),
});
const textsOf = (messages: readonly Message[]) =>
  messages.flatMap((one) => (one.role === "tool" ? one.results.map(({ text }) => text) : [one.text]));
const size = (messages: readonly Message[]) => textsOf(messages).reduce((sum, text) => sum + text.length, 0);
const long = (mark: string, chars: number) => `${mark}<${mark.repeat(chars)}>${mark}`;

describe("capPrompt", () => {
  it("leaves what fits as it is", () => {
    const messages = [user("task"), reply("yes"), results("a", "b")];
    expect(capPrompt(messages, 100)).toEqual({ messages, cuts: null });
    expect(capPrompt(messages, 100).messages).toBe(messages);
  });

  it("cuts the longest old results first, head and tail, and says how much is missing", () => {
    const messages = [
      user("the task"),
      reply("reading"),
      results(long("a", 9_000), long("b", 100), long("c", 5_000)),
      reply("again"),
      results(long("d", 1_500)),
    ];
    const { messages: capped, cuts } = capPrompt(messages, 6_000);
    const [task, , a, b, c, , d] = textsOf(capped);
    expect(size(capped)).toBeLessThanOrEqual(6_000);
    expect([task, b, d]).toEqual(["the task", long("b", 100), long("d", 1_500)]);
    expect(a).toMatch(/^a<a+\n… \[\d+ characters left out\] …\na+>a$/);
    expect(c).toMatch(/^c<c+\n… \[\d+ characters left out\] …\nc+>c$/);
    expect(cuts).toEqual({ results: 2, texts: 0, task: false, chars: size(messages) - size(capped) });
    expect(capped[3]).toBe(messages[3]);
    expect(capped[4]).toBe(messages[4]);
  });

  it("then the newest results, then old words, and the task last, each visibly", () => {
    const messages = [
      user(long("t", 9_000)),
      reply(long("r", 9_000)),
      results(long("a", 9_000)),
      user(long("m", 9_000)),
      reply("ok"),
      results(long("n", 9_000), "small"),
      user(long("u", 9_000)),
    ];
    const cutsAt = (maxChars: number) => {
      const { messages: capped, cuts } = capPrompt(messages, maxChars);
      const cut = textsOf(capped)
        .filter((text) => text.includes("left out"))
        .map((text) => text[0]);
      return `${cut.join("")} ${cuts?.results} ${cuts?.texts} ${cuts?.task}`;
    };
    expect(cutsAt(50_000)).toBe("a 1 0 false");
    expect(cutsAt(42_000)).toBe("an 2 0 false");
    expect(cutsAt(35_000)).toBe("ramn 2 2 false");
    expect(cutsAt(15_000)).toBe("tramnu 2 4 true");
  });

  it("cuts nothing below its least, even if it does not fit then", () => {
    const messages = [user("task"), reply("x"), results(long("a", 390)), reply("y"), user("go")];
    expect(capPrompt(messages, 10)).toEqual({ messages, cuts: null });
    const { messages: capped } = capPrompt([user(long("t", 9_000))], 10);
    expect(size(capped)).toBeGreaterThan(1_900);
  });

  it("a text that its mark would make no shorter stays whole", () => {
    const messages = [user("task"), reply("x"), results("a".repeat(410)), reply("y")];
    const { messages: capped, cuts } = capPrompt(messages, 405);
    expect(cuts?.results).toBe(1);
    expect(size(capped)).toBeLessThanOrEqual(405);
  });

  it("always fits where cutting can do it, keeps calls, order and names, and is the same every time", () => {
    const text = fc.nat(8_000).map((chars) => long("x", chars));
    const message = fc.oneof(
      text.map(user),
      text.map(
        (said): Message => ({
          role: "assistant",
          text: said,
          toolCalls: [{ id: "1", name: "read", input: { path: "a" } }],
        }),
      ),
      fc.array(text, { minLength: 1, maxLength: 3 }).map((all) => results(...all)),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.nat(60_000), (messages, maxChars) => {
        const { messages: capped, cuts } = capPrompt(messages, maxChars);
        const pieces = textsOf(messages).length;
        expect(size(capped)).toBeLessThanOrEqual(Math.max(maxChars, pieces * 2_000));
        expect(size(messages) - size(capped)).toBe(cuts?.chars ?? 0);
        expect(capped.map((one) => (one.role === "assistant" ? one.toolCalls : one.role))).toEqual(
          messages.map((one) => (one.role === "assistant" ? one.toolCalls : one.role)),
        );
        expect(capPrompt(messages, maxChars).messages).toEqual(capped);
      }),
    );
  });
});
