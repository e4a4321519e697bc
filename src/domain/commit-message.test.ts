import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanCommitMessage, SUBJECT_CHARS } from "./commit-message.ts";

describe("cleanCommitMessage", () => {
  it("keeps a good message as it is", () => {
    const good = "fix(login): redirect after the session ends\n\nThe page stayed blank.\n\n- one\n- two\n";
    expect(cleanCommitMessage(good)).toBe(good);
    expect(cleanCommitMessage("Only a subject")).toBe("Only a subject\n");
  });

  it("takes fences, quotes, headings and preambles off", () => {
    expect(
      cleanCommitMessage("Here is the commit message:\n```text\nfeat: add x\n\nbody\n```\nHope it helps"),
    ).toBe("feat: add x\n\nbody\n");
    expect(cleanCommitMessage('"feat: add x"')).toBe("feat: add x\n");
    expect(cleanCommitMessage("Sure, here you go\n\n# **Add x.**")).toBe("Add x\n");
    expect(cleanCommitMessage("**Add x**")).toBe("Add x\n");
    expect(cleanCommitMessage("Subject: Add x.\r\n\r\nWhy")).toBe("Add x\n\nWhy\n");
  });

  it("lets no trailer through, wherever it stands", () => {
    const text =
      "Agent-Runner-Run: run_x\nAdd x\n\nSigned-off-by: Eve <e@x>\nbody\n\nCo-Authored-By: Bot <b@x>\n🤖 Generated with Bot";
    expect(cleanCommitMessage(text)).toBe("Add x\n\nbody\n");
  });

  it("cuts a long subject and keeps its whole in the body", () => {
    const long = `Change ${"word ".repeat(30)}`.trim();
    const message = cleanCommitMessage(long) as string;
    const [subject, blank, ...body] = message.split("\n");
    expect(subject?.length).toBeLessThanOrEqual(SUBJECT_CHARS);
    expect(subject?.endsWith("…")).toBe(true);
    expect(blank).toBe("");
    expect(body.join(" ").trim()).toBe(long);
    expect(cleanCommitMessage("x".repeat(100))?.split("\n")[0]).toBe(`${"x".repeat(71)}…`);
  });

  it("wraps the body, indents list items, leaves addresses whole", () => {
    const url = `https://example.com/${"p".repeat(90)}`;
    const message = cleanCommitMessage(
      `Add x\n\n- ${"word ".repeat(20)}\n${url}\n12) ${"item ".repeat(20)}`,
    ) as string;
    for (const line of message.split("\n"))
      if (!line.includes("https")) expect(line.length).toBeLessThanOrEqual(72);
    expect(message).toContain("\n  word");
    expect(message).toContain(`\n${url}\n`);
    expect(message).toContain("\n    item");
  });

  it("bounds the body", () => {
    expect(cleanCommitMessage(`Add x\n\n${"line\n".repeat(100)}`)).toMatch(/… 4[01] lines left out\n$/);
  });

  it("gives up on what is no message", () => {
    for (const text of [
      "",
      "  \n ",
      "```\n```",
      '{"a": 1}',
      "diff --git a/x b/x",
      "12345",
      "x".repeat(40_000),
    ]) {
      expect(cleanCommitMessage(text), text.slice(0, 20)).toBeNull();
    }
  });

  it("gives something git can take, or nothing, for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), (text) => {
        const message = cleanCommitMessage(text);
        if (message === null) return;
        const [subject, blank] = message.split("\n");
        expect(subject?.length).toBeLessThanOrEqual(SUBJECT_CHARS);
        expect(subject?.trim()).not.toBe("");
        expect(blank).toBe("");
        expect(message).not.toMatch(/[^\P{Cc}\n]/u);
        expect(cleanCommitMessage(message)).not.toBeNull();
      }),
    );
  });
});
