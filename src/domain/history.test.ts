import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  appendUser,
  compacted,
  estimateTokens,
  historyTokens,
  renderForSummary,
  splitForCompaction,
  turnsOf,
} from "./history.ts";
import type { Message } from "./message.ts";

const user = (text: string): Message => ({ role: "user", text });
const assistant = (id: string, text = ""): Message => ({
  role: "assistant",
  text,
  toolCalls: [{ id, name: "read", input: { path: "a.ts" } }],
});
const tool = (callId: string, text: string): Message => ({
  role: "tool",
  results: [{ callId, name: "read", text, isError: false }],
});

/** Any history the loop can build: an opening, then turns with results and words of ours in between. */
const histories = fc
  .array(fc.record({ size: fc.nat(400), nudge: fc.boolean(), calls: fc.boolean() }), { maxLength: 12 })
  .map((turns) => {
    const messages: Message[] = [user("the task")];
    turns.forEach((turn, at) => {
      if (turn.calls) messages.push(assistant(`c${at}`), tool(`c${at}`, "x".repeat(turn.size)));
      else messages.push({ role: "assistant", text: "words", toolCalls: [] }, user("go on"));
      if (turn.nudge && turn.calls) messages.push(user("hurry"));
    });
    return messages;
  });

describe("the size of a history", () => {
  it("is estimated on the high side from the text", () => {
    expect(estimateTokens([])).toBe(0);
    expect(estimateTokens([user("abcdef")])).toBe(10);
    const withData: Message = { role: "assistant", text: "", toolCalls: [], providerData: { s: "sig" } };
    expect(estimateTokens([withData])).toBeGreaterThan(estimateTokens([{ ...withData, providerData: 0 }]));
    expect(estimateTokens([tool("c", "xxx")])).toBe(9);
  });

  it("is what the model measured, and estimated only for what came since", () => {
    const messages = [user("abc"), assistant("c"), tool("c", "xxx")];
    expect(historyTokens(messages, null)).toBe(estimateTokens(messages));
    expect(historyTokens(messages, { messages: 2, tokens: 500 })).toBe(509);
  });

  it("does not believe a measure that is far too low", () => {
    const messages = [user("x".repeat(3_000)), assistant("c")];
    expect(historyTokens(messages, { messages: 2, tokens: 3 })).toBe(
      Math.floor(estimateTokens(messages) * 0.75),
    );
  });

  it("adds up over concatenation", () => {
    fc.assert(
      fc.property(histories, histories, (a, b) => {
        expect(estimateTokens([...a, ...b])).toBe(estimateTokens(a) + estimateTokens(b));
      }),
    );
  });
});

describe("a word of ours", () => {
  it("follows a tool result as a message, and joins an unanswered one", () => {
    const after = appendUser([assistant("c"), tool("c", "x")], "one");
    expect(after.at(-1)).toEqual(user("one"));
    expect(appendUser(after, "two").at(-1)).toEqual(user("one\n\ntwo"));
    expect(appendUser([], "first")).toEqual([user("first")]);
  });

  it("never makes two user messages in a row", () => {
    fc.assert(
      fc.property(histories, fc.array(fc.string(), { maxLength: 4 }), (messages, words) => {
        const all = words.reduce(appendUser, messages);
        const doubled = all.some((one, at) => one.role === "user" && all[at + 1]?.role === "user");
        expect(doubled).toBe(false);
      }),
    );
  });
});

describe("compaction", () => {
  it("keeps the latest turns that fit, whole", () => {
    const messages = [user("t"), assistant("1"), tool("1", "a"), assistant("2"), tool("2", "b"), user("hm")];
    expect(splitForCompaction(messages, { keepTurns: 1, targetTokens: 1_000 })).toEqual({
      dropped: messages.slice(1, 3),
      kept: messages.slice(3),
    });
    expect(splitForCompaction(messages, { keepTurns: 9, targetTokens: 1_000 }).dropped).toEqual([]);
    expect(splitForCompaction([user("t")], { keepTurns: 3, targetTokens: 10 })).toEqual({
      dropped: [],
      kept: [],
    });
  });

  it("cuts the results of the last turn visibly when even that is too large", () => {
    const messages = [user("t"), assistant("1", "look"), tool("1", "y".repeat(9_000)), user("hm")];
    const { kept } = splitForCompaction(messages, { keepTurns: 3, targetTokens: 300 });
    expect(kept[0]).toEqual(messages[1]);
    const [, result] = kept;
    expect(result?.role === "tool" && result.results[0]?.text).toMatch(/\[8100 characters left out\]/);
  });

  it("does not stumble over a turn that is too large without any result", () => {
    const words: Message = { role: "assistant", text: "z".repeat(900), toolCalls: [] };
    expect(splitForCompaction([user("t"), words], { keepTurns: 1, targetTokens: 10 }).kept).toEqual([words]);
  });

  it("loses no turn, tears none apart, and keeps at least the last", () => {
    fc.assert(
      fc.property(
        histories,
        fc.nat(6),
        fc.integer({ min: 50, max: 800 }),
        (messages, keepTurns, targetTokens) => {
          const { dropped, kept } = splitForCompaction(messages, { keepTurns, targetTokens });
          const turns = turnsOf(messages);
          const keptTurns = turnsOf(kept);
          expect(turnsOf(dropped)).toEqual(turns.slice(0, turns.length - keptTurns.length));
          expect(dropped.length + kept.length).toBe(messages.length - 1);
          expect(keptTurns.length).toBeGreaterThanOrEqual(Math.min(1, turns.length));
          expect(keptTurns.length).toBeLessThanOrEqual(Math.max(1, keepTurns));
          if (keptTurns.length > 1) expect(estimateTokens(kept)).toBeLessThanOrEqual(targetTokens);
          for (const turn of keptTurns) {
            const [first, second] = turn;
            const calls = first?.role === "assistant" ? first.toolCalls.map((call) => call.id) : [];
            const answered = second?.role === "tool" ? second.results.map((result) => result.callId) : [];
            expect(answered).toEqual(calls);
          }
        },
      ),
    );
  });

  it("puts everything but the summary back word for word", () => {
    const kept = [assistant("1"), tool("1", "a")];
    const essentials = {
      opening: "task\n\n# AGENTS.md\nnever  edit dist",
      summary: "did x",
      budget: "2 of 9",
    };
    const [first, ...rest] = compacted(essentials, kept);
    expect(rest).toEqual(kept);
    expect(first?.role).toBe("user");
    const text = first?.role === "user" ? first.text : "";
    for (const part of Object.values(essentials)) expect(text).toContain(part);
  });

  it("renders dropped turns for whoever sums them up", () => {
    const failed: Message = {
      role: "tool",
      results: [{ callId: "2", name: "bash", text: "boom", isError: true }],
    };
    const text = renderForSummary(
      [user("hm"), assistant("1", "let me look"), tool("1", "q".repeat(100)), assistant("2"), failed],
      20,
    );
    expect(text).toContain("[runner] hm");
    expect(text).toContain("[agent] let me look");
    expect(text).toContain('[call] read {"path":"a.ts"}');
    expect(text).toMatch(/\[result of read\] q{10}\n… \[80 characters left out\]/);
    expect(text).toContain("[error of bash] boom");
  });
});
