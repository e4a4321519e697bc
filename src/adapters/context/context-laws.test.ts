import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { counted, countOf, type FileFacts, STATUSES } from "./facts.ts";
import { decodeFacts, encodeFacts } from "./facts-codec.ts";
import { ReferenceGraph } from "./graph.ts";
import { messageScores, recentScores, togetherScores } from "./past.ts";
import { isTest, subjectOf } from "./paths.ts";
import { estimateTokens, type MapFile, renderMap } from "./render.ts";
import { namedScores, seedsOf, topOf } from "./signals.ts";
import { namedPaths, taskWords } from "./task.ts";
import { hashWord, identifiers, stem, wordsOf } from "./words.ts";

const symbol = fc.record({
  entry: fc.record({
    name: fc.string(),
    kind: fc.constant("function"),
    line: fc.nat(500),
    signature: fc.string({ unit: "binary" }),
  }),
  relevance: fc.double({ min: 0, max: 3, noNaN: true }),
});
const mapFile: fc.Arbitrary<MapFile> = fc
  .record({
    path: fc.string({ minLength: 1, maxLength: 60, unit: "binary" }),
    score: fc.double({ min: 0.0001, max: 1, noNaN: true }),
    lines: fc.nat(3_000),
    symbols: fc.array(symbol, { maxLength: 12 }),
  })
  .map(({ symbols, ...file }) => ({ ...file, reasons: {}, symbols: () => symbols }));
const bestFirst = fc
  .array(mapFile, { maxLength: 40 })
  .map((files) => files.toSorted((a, b) => b.score - a.score));

describe("the map", () => {
  it("never exceeds its budget, keeps the order of scores, and says the same for the same", () => {
    fc.assert(
      fc.property(bestFirst, fc.integer({ min: 1, max: 1_500 }), (files, budget) => {
        const map = renderMap(files, budget);
        expect(map.tokens).toBeLessThanOrEqual(budget);
        expect(map.tokens).toBe(estimateTokens(map.text));
        const scores = map.files.map((file) => file.score);
        expect(scores).toEqual(scores.toSorted((a, b) => b - a));
        expect(renderMap(files, budget)).toEqual(map);
      }),
    );
  });

  it("shows every file when there is room, each with its definitions in line order", () => {
    fc.assert(
      fc.property(bestFirst, (files) => {
        const map = renderMap(files, 1_000_000);
        expect(map.files.map((file) => file.path)).toEqual(files.map((file) => file.path));
        for (const [i, { symbols }] of map.files.entries()) {
          const lines = symbols.map(({ line }) => line);
          expect(lines).toEqual([...new Set(lines)].sort((a, b) => a - b));
          const worth = files[i]?.symbols().filter(({ relevance }) => relevance > 0) ?? [];
          expect(lines).toHaveLength(new Set(worth.map(({ entry }) => entry.line)).size);
        }
      }),
    );
  });
});

const counts = fc
  .array(fc.tuple(fc.nat(0xffffffff), fc.integer({ min: 1, max: 1_000 })), { maxLength: 60 })
  .map((pairs) => new Map(pairs));
const facts: fc.Arbitrary<FileFacts> = fc
  .record({
    status: fc.constantFrom(...STATUSES),
    generated: fc.boolean(),
    lines: fc.nat(100_000),
    wordTotal: fc.nat(1_000_000),
    words: counts,
    symbolWords: counts,
    definitions: fc.array(fc.nat(0xffffffff)),
    references: counts,
  })
  .map((record) => ({
    ...record,
    words: counted(record.words),
    symbolWords: counted(record.symbolWords),
    definitions: Uint32Array.from(record.definitions).sort(),
    references: counted(record.references),
  }));

describe("facts", () => {
  it("come back from their bytes, wherever in memory these lie", () => {
    fc.assert(
      fc.property(facts, fc.integer({ min: 0, max: 7 }), (one, offset) => {
        const bytes = encodeFacts(one);
        const moved = new Uint8Array(bytes.length + offset);
        moved.set(bytes, offset);
        expect(decodeFacts(moved.subarray(offset))).toEqual(one);
      }),
    );
  });

  it("are refused when their bytes are cut", () => {
    fc.assert(
      fc.property(facts, fc.nat(), (one, cut) => {
        const bytes = encodeFacts(one);
        expect(decodeFacts(bytes.subarray(0, cut % bytes.length))).toBeNull();
      }),
    );
  });

  it("count what was put in, up to 255", () => {
    fc.assert(
      fc.property(counts, fc.nat(0xffffffff), (map, other) => {
        const kept = counted(map);
        for (const [hash, count] of map) expect(countOf(kept, hash)).toBe(Math.min(count, 255));
        if (!map.has(other)) expect(countOf(kept, other)).toBe(0);
      }),
    );
  });
});

describe("words", () => {
  it.each([
    ["parseDuration", ["pars", "duration", "parseduration"]],
    ["HTTPServer2", ["http", "server", "httpserver2"]],
    ["snake_case_name", ["snak", "cas", "nam", "snakecasename"]],
    ["MAX_RETRIES", ["max", "retry", "maxretries"]],
    ["überschrift", ["überschrift"]],
    ["検索機能", ["検索", "索機", "機能"]],
    ["x", []],
  ])("of %s", (identifier, expected) => {
    expect(wordsOf(identifier)).toEqual(expected);
  });

  it.each([
    ["cache", "caches", "cached", "caching"],
    ["retry", "retries"],
    ["match", "matches", "matching", "matched"],
    ["run", "runs", "running"],
    ["class", "classes"],
    ["file", "files"],
  ])("meet in one stem: %s", (...forms) => {
    expect(new Set(forms.map(stem)).size).toBe(1);
  });

  it.each([
    ["process", "proc"],
    ["status", "stat"],
    ["speed", "spe"],
    ["ring", "r"],
  ])("stay apart: %s, %s", (a, b) => {
    expect(stem(a)).not.toBe(stem(b));
  });

  it("are found for any identifier of any text, without a throw and without an empty one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        for (const name of identifiers(text)) for (const word of wordsOf(name)) expect(word).not.toBe("");
      }),
    );
  });
});

describe("the task", () => {
  it("weighs the title over the body, code over prose, and leaves out trailers, links and small words", () => {
    const words = taskWords(
      "Fix `Walrus` login\n\nThe penguin of the https://example.org/ostrich is lost\n\nSigned-off-by: Emu <emu@x.org>\n",
    );
    const weight = (word: string): number => words.get(hashWord(word)) ?? 0;
    expect(weight("walrus")).toBeGreaterThan(weight("login"));
    expect(weight("login")).toBeGreaterThan(weight("penguin"));
    expect(weight("penguin")).toBeGreaterThan(0);
    for (const word of ["the", "of", "ostrich", "emu", "signed"]) expect(weight(word), word).toBe(0);
  });

  it("names paths", () => {
    const text =
      "See `./src/a.ts:12`, lib\\b.js, .github/workflows/ci.yml and Makefile.am; not e.g. this. v1.2.3";
    expect(namedPaths(text)).toEqual(
      expect.arrayContaining(["src/a.ts", "lib/b.js", ".github/workflows/ci.yml", "Makefile.am"]),
    );
  });

  it("gives a named file that fits several paths to all of them, and to none when there are many", () => {
    const paths = ["a/x.ts", "b/x.ts", ...Array.from({ length: 9 }, (_, i) => `c${i}/index.ts`)];
    expect([...namedScores(paths, ["x.ts", "index.ts"])].slice(0, 3)).toEqual([0.5, 0.5, 0]);
    expect(namedScores(paths, ["b/x.ts"])[1]).toBe(1);
    expect(namedScores(paths, ["c3/index.ts"])[5]).toBe(1);
  });
});

describe("a file and its test", () => {
  it.each([
    "src/foo.test.ts",
    "test/foo.spec.js",
    "foo_test.go",
    "tests/test_foo.py",
    "src/FooTest.java",
    "__tests__/foo.tsx",
  ])("%s is a test of foo", (path) => {
    expect(isTest(path)).toBe(true);
    expect(subjectOf(path)).toBe("foo");
  });

  it.each(["src/foo.ts", "lib/foo.d.ts", "foo.go", "Foo.java"])("%s is foo", (path) => {
    expect(isTest(path)).toBe(false);
    expect(subjectOf(path)).toBe("foo");
  });

  it.each(["src/latest.ts", "contest.py", "attestation.go", "src/unit.ts"])("%s is no test", (path) => {
    expect(isTest(path)).toBe(false);
  });
});

describe("history", () => {
  const commit = (files: readonly number[], ...words: readonly string[]) => ({
    files,
    words: new Map(words.map((word) => [hashWord(word), 1])),
  });

  it("gives more to files of the commit whose message is nearer to the task, and of fewer files", () => {
    const commits = [
      commit([0], "cache", "evict"),
      commit([1], "cache"),
      commit([2, 3, 4], "cache"),
      commit([5], "docs"),
    ];
    const scores = messageScores(
      commits,
      new Map([
        [hashWord("cache"), 2],
        [hashWord("evict"), 2],
      ]),
      6,
    );
    const [best = 0, second = 0, third = 0, , , none = 1] = scores;
    expect(best).toBeGreaterThan(second);
    expect(second).toBeGreaterThan(third);
    expect(third).toBeGreaterThan(0);
    expect(none).toBe(0);
  });

  it("gives more to files that changed lately", () => {
    const scores = recentScores(
      [commit([1]), ...Array.from({ length: 300 }, () => commit([])), commit([0])],
      3,
    );
    expect(scores[1]).toBeGreaterThan(scores[0] ?? 1);
    expect(scores[0]).toBeGreaterThan(scores[2] ?? 1);
  });

  it("gives nothing to a seed for its own commits, and more to its habitual company", () => {
    const commits = [commit([0, 1]), commit([0, 1]), commit([0, 2]), commit([3, 4])];
    const scores = togetherScores(commits, new Map([[0, 1]]), 5);
    expect(scores[0]).toBe(0);
    expect(scores[1]).toBeGreaterThan(scores[2] ?? 1);
    expect(scores[2]).toBeGreaterThan(scores[3] ?? 1);
  });
});

describe("the graph", () => {
  const node = (defines: readonly string[], uses: readonly string[]): FileFacts => ({
    status: "text",
    generated: false,
    lines: 1,
    words: counted(new Map()),
    wordTotal: 0,
    symbolWords: counted(new Map()),
    definitions: Uint32Array.from(defines.map(hashWord)).sort(),
    references: counted(new Map(uses.map((name) => [hashWord(name), 1]))),
  });
  const rankOf = (files: readonly FileFacts[], seeds: readonly number[]): Float64Array => {
    const graph = new ReferenceGraph();
    for (const file of files) graph.addDefinitions(file);
    for (const file of files) graph.addReferences(file);
    return graph.rank(Float64Array.from(seeds), new Set());
  };

  it("leads from a seed to what it uses and to what uses it, not to strangers", () => {
    const files = [
      node(["main"], ["helper"]),
      node(["helper"], []),
      node(["caller"], ["main"]),
      node(["other"], []),
    ];
    const ranks = rankOf(files, [1, 0, 0, 0]);
    expect(ranks[1]).toBeGreaterThan(ranks[2] ?? 1);
    expect(ranks[2]).toBeGreaterThan(0);
    expect(ranks[3]).toBe(0);
  });

  it("never makes rank out of nothing, whatever uses whatever", () => {
    const name = fc.constantFrom("alpha", "beta", "gamma", "delta", "omega");
    const file = fc
      .tuple(fc.uniqueArray(name), fc.uniqueArray(name))
      .map(([defines, uses]) => node(defines, uses));
    fc.assert(
      fc.property(fc.array(file, { minLength: 1, maxLength: 12 }), (files) => {
        const ranks = rankOf(
          files,
          files.map((_, i) => (i === 0 ? 1 : 0)),
        );
        const total = ranks.reduce((sum, rank) => sum + rank, 0);
        expect([...ranks].every((rank) => rank >= 0)).toBe(true);
        expect(total).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("choosing the best", () => {
  it("takes the highest, equals in order, and seeds that add up to 1", () => {
    const scores = fc
      .array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 })
      .map((values) => Float64Array.from(values));
    fc.assert(
      fc.property(scores, fc.integer({ min: 1, max: 10 }), (values, count) => {
        const best = topOf(values, count);
        expect(best).toHaveLength(Math.min(count, values.length));
        best.forEach((file, i) => {
          const next = best[i + 1];
          if (next === undefined) return;
          const [a = 0, b = 0] = [values[file], values[next]];
          expect(a > b || (a === b && file < next)).toBe(true);
        });
        const seeds = [...seedsOf(values, count).values()];
        if (seeds.length > 0) expect(seeds.reduce((sum, seed) => sum + seed, 0)).toBeCloseTo(1);
      }),
    );
  });
});
