import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CapturedOutput } from "./captured-output.ts";

const MARK = /\n… \[(\d+) bytes left out] …\n/;

function capture(chunks: readonly Buffer[], max: number) {
  const output = new CapturedOutput(max);
  for (const chunk of chunks) output.add(chunk);
  return output.finish();
}

describe("captured output", () => {
  it("keeps text within the bound whole, however it is cut into chunks", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), (texts) => {
        const whole = Buffer.from(texts.join(""));
        const chunks = texts.map((text) => Buffer.from(text));
        expect(capture(chunks, Math.max(1, whole.length))).toEqual({ text: texts.join(""), elidedBytes: 0 });
      }),
    );
  });

  it("keeps a true head and a true tail of whole characters, and counts the rest exactly", () => {
    const pieces = fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 30 });
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 64 }), (texts, max) => {
        const whole = texts.join("");
        const { text, elidedBytes } = capture(
          texts.map((piece) => Buffer.from(piece)),
          max,
        );
        if (Buffer.byteLength(whole) <= max) return void expect(text).toBe(whole);
        const [head = "", tail = ""] = text.split(MARK).filter((_, i) => i !== 1);
        expect(whole.startsWith(head)).toBe(true);
        expect(whole.endsWith(tail)).toBe(true);
        expect(MARK.exec(text)?.[1]).toBe(String(elidedBytes));
        expect(Buffer.byteLength(head) + Buffer.byteLength(tail) + elidedBytes).toBe(
          Buffer.byteLength(whole),
        );
        expect(Buffer.byteLength(head) + Buffer.byteLength(tail)).toBeLessThanOrEqual(max);
        expect(Buffer.byteLength(head) + Buffer.byteLength(tail)).toBeGreaterThanOrEqual(max - 6);
      }),
      { numRuns: 500 },
    );
  });

  it("is the same however the same bytes arrive", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.nat(50)),
        fc.integer({ min: 1, max: 80 }),
        (all, cuts, max) => {
          const bytes = Buffer.from(all);
          const chunks: Buffer[] = [];
          let at = 0;
          for (const cut of cuts) {
            chunks.push(bytes.subarray(at, at + cut));
            at += cut;
          }
          chunks.push(bytes.subarray(at));
          expect(capture(chunks, max)).toEqual(capture([bytes], max));
        },
      ),
    );
  });

  it("keeps its memory bounded under a flood", () => {
    const output = new CapturedOutput(10_000);
    const chunk = Buffer.alloc(65_536, "x");
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 16_000; i += 1) output.add(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    expect(output.finish().elidedBytes).toBe(16_000 * 65_536 - 10_000);
  });
});
