import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "../base/json.ts";
import { foreignInputs, inputsFrom, missingInputs, readText } from "./intent-inputs.ts";

const schema = (properties: Record<string, Json>, required: readonly string[] = []): JsonObject => ({
  type: "object",
  properties,
  required,
});
const CHANGE = schema(
  {
    repo: { type: "string" },
    task: {},
    branch: {},
    base: {},
    approve: { type: "boolean" },
    rounds: { type: "integer" },
  },
  ["repo", "task"],
);
const REVIEW = schema({ repo: {}, ref: {}, against: {}, question: {} });
const from = (text: string, given: JsonObject = {}, of = CHANGE) => inputsFrom(of, readText(text), given);

describe("inputs from free text", () => {
  it("takes the repository out of the words, and the words for what is wanted", () => {
    expect(from("Fix the crash in /srv/shop.")).toEqual({ repo: "/srv/shop", task: "Fix the crash." });
    expect(from("repo: /srv/shop\nFix the crash")).toEqual({ repo: "/srv/shop", task: "Fix the crash" });
    expect(from('Tidy "/srv/my shop"')).toMatchObject({ repo: "/srv/my shop" });
    expect(from("Tidy C:\\code\\shop please")).toMatchObject({ repo: "C:\\code\\shop" });
    expect(from("Tidy `\\\\host\\share\\shop`")).toMatchObject({ repo: "\\\\host\\share\\shop" });
    // A route of the application is not a folder; what "in" leads to goes before it.
    expect(from("GET /login/form answers 500 in /srv/shop")).toMatchObject({ repo: "/srv/shop" });
    expect(from("The page /login is slow")).toEqual({ task: "The page /login is slow" });
    expect(from("Either / or //")).toEqual({ task: "Either / or //" });
    expect(from("Fix it", { repo: "/given" })).toEqual({ repo: "/given", task: "Fix it" });
    expect(from("Fix it in /srv/shop", { repo: "/given" })).toEqual({
      repo: "/given",
      task: "Fix it in /srv/shop",
    });
  });

  it("reads lines and words with a key, as the type that the schema wants", () => {
    const text = "Sort the list\nApprove: yes\nrounds=3 base: ignored here\nNote: keep it small";
    expect(from(text)).toEqual({
      task: "Sort the list\n\n base: ignored here\nNote: keep it small",
      approve: true,
      rounds: 3,
    });
    expect(from("approve=off x")).toMatchObject({ approve: false });
    expect(from("flag: yes", {}, { properties: { flag: true } })).toEqual({ flag: "yes" });
    expect(from("approve: perhaps")).toEqual({ approve: "perhaps" });
    expect(from("rounds: many")).toMatchObject({ rounds: "many" });
    expect(from("rounds: 1\nrounds: 2").rounds).toBe(1);
    expect(from('task: "Sort it"')).toEqual({ task: "Sort it" });
    expect(from("branch='a b' go")).toMatchObject({ branch: "a b" });
    expect(from("see http://x.test/?branch=no")).not.toHaveProperty("branch");
    expect(from("approve: yes", { approve: false })).toEqual({ approve: false });
  });

  it("takes names of git where they look like ones", () => {
    expect(from("Review branch feature/login against main in /srv/shop", {}, REVIEW)).toEqual({
      repo: "/srv/shop",
      ref: "feature/login",
      against: "main",
      question: "Review branch feature/login against main",
    });
    expect(from("Go on with branch `odd`")).toMatchObject({ branch: "odd" });
    expect(from("Look at commit 4f2a91c.", {}, REVIEW)).toMatchObject({ ref: "4f2a91c" });
    expect(from("The branch is broken, and the base class too")).toEqual({
      task: "The branch is broken, and the base class too",
    });
    const both = schema({ ref: {}, branch: {} });
    expect(from("branch x/y", {}, both)).toEqual({ branch: "x/y" });
  });

  it("takes a quotation for what is wanted only where it is that", () => {
    expect(from('Please do this in /srv/shop: "Sort the list by date"')).toEqual({
      repo: "/srv/shop",
      task: "Sort the list by date",
    });
    expect(from("Do “Sort the long list of names by date”").task).toBe("Sort the long list of names by date");
    const message = 'The page says "no such user" to everybody who is logged in, find out why';
    expect(from(message).task).toBe(message);
    expect(from('Rename it: "Shop"').task).toBe('Rename it: "Shop"');
  });

  it("takes a URL where an input is one", () => {
    const of = schema({ issue_url: {}, url: {} });
    expect(from("See https://x.test/i/7.", {}, of)).toEqual({
      issue_url: "https://x.test/i/7",
      url: "https://x.test/i/7",
    });
    expect(from("See nothing", {}, of)).toEqual({});
  });

  it("says what is missing and what is not known", () => {
    expect(missingInputs(CHANGE, { repo: "x" })).toEqual(["task"]);
    expect(missingInputs({ required: [1, "a"] }, {})).toEqual(["a"]);
    expect(missingInputs({}, {})).toEqual([]);
    expect(foreignInputs(CHANGE, { repo: 1, other: 2 })).toEqual(["other"]);
    expect(foreignInputs({}, { a: 1 })).toEqual(["a"]);
    expect(inputsFrom(CHANGE, null, { a: 1 })).toEqual({ a: 1 });
    expect(inputsFrom({}, readText("x: y"), {})).toEqual({});
    expect(inputsFrom(CHANGE, readText("  "), {})).toEqual({});
  });

  it("never throws, and what is given explicitly always wins", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc
            .array(
              fc.constantFrom("/a/b", '"', ": ", "repo", "=", "in ", "\n", "x", "C:\\", "```", "http://"),
              { maxLength: 30 },
            )
            .map((all) => all.join("")),
        ),
        fc.dictionary(fc.constantFrom("repo", "task", "branch"), fc.jsonValue()),
        (text, given) => {
          expect(from(text, given as JsonObject)).toMatchObject(given);
        },
      ),
    );
  });

  it("reads a long text in no time", () => {
    const started = performance.now();
    for (const text of ['"a ', "/", "in /", "a=", "x: ", "`\\\\", "http://", "```", 'a="', "in  ", "/.."])
      readText(text.repeat(16_384 / text.length));
    for (const text of [`in${" ".repeat(16_000)}x`, `/${".".repeat(16_000)}x`, `a${" ".repeat(16_000)}x`])
      from(text);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
