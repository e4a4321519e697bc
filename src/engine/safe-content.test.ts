import { describe, expect, test } from "vitest";
import { createRedactor } from "../domain/redact.ts";
import { safeContent } from "./safe-content.ts";

const redactor = createRedactor([{ name: "API_TOKEN", value: "open-sesame" }]);
const saved = (mediaType: string, content: string | Uint8Array) =>
  safeContent({ mediaType, content }, redactor);
const bytes = (text: string) => new TextEncoder().encode(text);
const PEM = ["-----BEGIN PRIVATE KEY-----", "Ab3/".repeat(20), "-----END PRIVATE KEY-----"];

describe("safeContent", () => {
  test("text loses secrets, given as text or as bytes", () => {
    const safe = { content: "it is [redacted:API_TOKEN]", found: { API_TOKEN: 1 } };
    expect(saved("text/markdown; charset=utf-8", "it is open-sesame")).toEqual(safe);
    expect(saved("text/x-diff", bytes("it is open-sesame"))).toEqual(safe);
  });

  test("JSON stays JSON, also where a secret spans several of its texts", () => {
    const document = `${JSON.stringify({ a: PEM, b: "open-sesame" })}\n`;
    const safe = saved("application/json", document);
    expect(JSON.parse(String(safe.content))).toMatchObject({ b: "[redacted:API_TOKEN]" });
    expect(String(safe.content)).toMatch(/\n$/);
    const lines = saved("application/jsonl", '{"a":"open-sesame"}\n{"b":1}\n\nnot json, open-sesame\n');
    expect(lines.content).toBe('{"a":"[redacted:API_TOKEN]"}\n{"b":1}\n\nnot json, [redacted:API_TOKEN]\n');
    expect(lines.found).toEqual({ API_TOKEN: 2 });
  });

  test("what holds none is the very content, byte for byte", () => {
    for (const content of ['{ "a" : 1 }', bytes("\ufeffplain text"), ""]) {
      expect(saved("application/json", content)).toEqual({ content, found: null });
      expect(saved("application/json", content).content).toBe(content);
    }
  });

  test("what is no text is left alone", () => {
    const image = bytes("open-sesame");
    expect(saved("image/png", image).content).toBe(image);
    const broken = new Uint8Array([0xff, 0xfe, ...bytes("open-sesame")]);
    expect(saved("text/plain", broken).content).toBe(broken);
    expect(safeContent({ mediaType: "text/plain", content: "open-sesame" }, undefined).found).toBeNull();
  });
});
