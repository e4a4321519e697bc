import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../base/json.ts";
import { INTENT, type IntentCandidate, likelyCandidates, routeIntent } from "./intent.ts";
import { stem, wordsOf } from "./words.ts";

const candidate = (name: string, more: Partial<IntentCandidate> = {}): IntentCandidate => ({
  kind: "workflow",
  name,
  description: "",
  examples: [],
  keywords: [],
  inputs: {},
  ...more,
});
const REPO: JsonObject = { type: "object", properties: { repo: { type: "string" } }, required: ["repo"] };
const BAKE = candidate("bake-bread", {
  description: "Bakes bread.",
  examples: ["Bake a loaf of rye", "Bake rolls for breakfast"],
});
const WASH = candidate("wash", { description: "Washes clothes.", examples: ["Wash my shirts"] });
const MEND = candidate("mend", { kind: "agent", description: "Mends clothes.", keywords: ["needle thread"] });
const ALL = [BAKE, WASH, MEND];
const route = (text: string, candidates = ALL, inputs: JsonObject = {}) =>
  routeIntent({ text, inputs }, candidates);

describe("routeIntent", () => {
  it("chooses what shares words with the request, and says why", () => {
    const decision = route("Please bake two loaves of rye bread in /srv/kitchen");
    expect(decision.kind).toBe("chosen");
    expect(decision.threshold).toBe(INTENT.threshold);
    const [first, ...rest] = decision.candidates;
    expect(first).toMatchObject({ kind: "workflow", name: "bake-bread" });
    expect(first?.score).toBeGreaterThan(INTENT.threshold);
    expect(first?.reasons).toEqual(["words: bak, bread, rye", 'like its example "Bake a loaf of rye"']);
    expect(rest.map(({ name, score, reasons }) => [name, score, reasons])).toEqual([
      ["mend", 0, []],
      ["wash", 0, []],
    ]);
  });

  it("asks when two are close, and knows nothing when no word is shared", () => {
    expect(route("clothes").kind).toBe("ambiguous");
    expect(likelyCandidates(route("clothes"), 5).map(({ name }) => name)).toEqual(["mend", "wash"]);
    expect(likelyCandidates(route("clothes"), 1)).toHaveLength(1);
    for (const text of ["", "the of and", "kernel panic"]) expect(route(text).kind).toBe("none");
    expect(route("anything", [])).toEqual({ kind: "none", candidates: [], threshold: INTENT.threshold });
  });

  it("takes a name that is spoken of as one for a command", () => {
    const named = [
      "run wash",
      "Please start the workflow wash",
      "use the wash workflow",
      "agent mend, do it",
    ];
    for (const text of named) {
      const [first] = route(text).candidates;
      expect(first?.reasons, text).toContain("asked for by its name");
      expect(first?.score, text).toBeGreaterThan(0.7);
      expect(route(text).kind).toBe("chosen");
    }
    expect(route("wash it").candidates[0]?.reasons).toContain("mentions its name");
    expect(route("who will bake bread today").candidates[0]?.reasons).toContain("mentions its name");
    expect(route("I cannot wash").candidates[0]?.reasons).not.toContain("asked for by its name");
    expect(route("x", [candidate("-"), candidate("(["), candidate("")]).kind).toBe("none");
  });

  it("counts what begins a request more than what follows", () => {
    expect(route("Wash the cloth that the bread is kept in").candidates[0]?.name).toBe("wash");
    expect(route("Bake the bread that the wash smells of").candidates[0]?.name).toBe("bake-bread");
    const long = `Bake ${"something ".repeat(5)}${Array.from({ length: 60 }, (_, i) => `w${i}`).join(" ")} wash shirts`;
    expect(route(long).candidates[0]?.name).toBe("bake-bread");
  });

  it("prefers who takes the given inputs and lacks none", () => {
    const twins = [
      candidate("a", { inputs: REPO, description: "sort" }),
      candidate("b", { description: "sort" }),
    ];
    const [first, second] = route("sort", twins).candidates;
    expect([first?.name, second?.name]).toEqual(["b", "a"]);
    expect(second?.reasons).toContain("lacks: repo");
    const given = route("sort", twins, { repo: "/srv/x" }).candidates;
    expect(given.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(given[1]?.reasons).toContain("does not take: repo");
    expect(route("sort in /srv/x", twins).candidates.map(({ score }) => score)[0]).toBeGreaterThan(0);
  });

  it("orders equals by name, then by kind", () => {
    const same = [candidate("z"), candidate("a"), candidate("a", { kind: "agent" })];
    expect(route("nothing", same).candidates.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      "agent a",
      "workflow a",
      "workflow z",
    ]);
  });
});

const word = fc.constantFrom(
  "bake",
  "wash",
  "mend",
  "bread",
  "shirt",
  "rye",
  "login",
  "the",
  "how",
  "fix-it",
);
const phrase = fc.array(word, { minLength: 1, maxLength: 8 }).map((words) => words.join(" "));
const anyCandidate = fc.record({
  kind: fc.constantFrom("workflow" as const, "agent" as const),
  name: fc.oneof(phrase, fc.string()),
  description: fc.oneof(phrase, fc.string()),
  examples: fc.array(fc.oneof(phrase, fc.string()), { maxLength: 4 }),
  keywords: fc.array(phrase, { maxLength: 2 }),
  inputs: fc.oneof(fc.constant(REPO), fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonObject>),
});
const anyText = fc.oneof(phrase, fc.string({ unit: "binary", maxLength: 300 }));

describe("for all requests and candidates", () => {
  it("gives the same answer again, whatever the order of the candidates, within 0 and 1", () => {
    const unique = fc.uniqueArray(anyCandidate, {
      selector: ({ kind, name }) => `${kind} ${name}`,
      maxLength: 6,
    });
    fc.assert(
      fc.property(anyText, unique, fc.infiniteStream(fc.nat()), (text, candidates, order) => {
        const shuffled = candidates
          .map((one) => ({ one, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ one }) => one);
        const decision = route(text, candidates);
        expect(route(text, shuffled)).toEqual(decision);
        for (const { score } of decision.candidates) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it("never scores a candidate lower for one more example that is like the request", () => {
    fc.assert(
      fc.property(phrase, fc.array(anyCandidate, { maxLength: 4 }), anyCandidate, (text, others, base) => {
        const one = { ...base, name: `only-${base.name}` };
        const scoreOf = (it: IntentCandidate) =>
          route(text, [...others, it]).candidates.find(
            ({ name, kind }) => name === it.name && kind === it.kind,
          )?.score ?? 0;
        const more = { ...one, examples: [...one.examples, text] };
        expect(scoreOf(more)).toBeGreaterThanOrEqual(scoreOf(one));
      }),
    );
  });
});

describe("words", () => {
  it("brings forms of a word together", () => {
    for (const forms of [
      ["review", "reviews", "reviewed", "reviewing"],
      ["document", "documents", "documentation", "documenting", "docs"],
      ["fix", "fixes", "fixed", "fixing"],
      ["plan", "plans", "planning", "planned"],
      ["tidy", "tidies"],
      ["describe", "describes", "describing"],
      ["analyze", "analysis", "analyzing"],
      ["class"],
      ["call", "calls", "calling"],
    ])
      expect(new Set(forms.map(stem)).size, forms.join()).toBe(1);
  });

  it("leaves out what every sentence has, but knows a question by its beginning", () => {
    expect(wordsOf("How does it work, and why?")).toEqual(["question", "work"]);
    expect(wordsOf("Tell me how it works")).toEqual(["tell", "work"]);
    expect(wordsOf("constructor __proto__ toString")).toHaveLength(3);
    expect(wordsOf("w ".repeat(10_000))).toHaveLength(600);
  });
});
