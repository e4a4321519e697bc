import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FINDING_LIMITS, parseFindings } from "./findings.ts";
import { folder } from "./playground.suite.ts";

const FILES = [
  "src/a.ts",
  "src/b.js",
  "pkg/x.py",
  "tests/test_x.py",
  "cmd/main.go",
  "calc/calc_test.go",
  "calc/calc.go",
  "src/main.rs",
  "lib/x.sh",
  "my file.ts",
];

function root(): string {
  return folder(Object.fromEntries(FILES.map((path) => [path, ""])));
}
const found = (output: string, at = root(), cwd = at) =>
  parseFindings(output, { root: at, cwd }).map(
    ({ path, line, rule, message }) => `${path}:${line} [${rule}] ${message}`,
  );

describe("parseFindings reads", () => {
  it("eslint's usual form, errors first", () => {
    const at = root();
    const output = `
${join(at, "src/b.js")}
   1:10  warning  Unexpected console statement      no-console
  12:5   error    'x' is assigned but never used    @typescript-eslint/no-unused-vars

✖ 2 problems (1 error, 1 warning)
`;
    expect(found(output, at)).toEqual([
      "src/b.js:12 [@typescript-eslint/no-unused-vars] 'x' is assigned but never used",
      "src/b.js:1 [no-console] Unexpected console statement",
    ]);
  });

  it("eslint's unix and compact forms", () => {
    expect(found("src/b.js:3:1: 'x' is not defined. [Error/no-undef]")).toEqual([
      "src/b.js:3 [no-undef] 'x' is not defined.",
    ]);
    expect(found("src/b.js: line 3, col 1, Error - 'x' is not defined. (no-undef)")).toEqual([
      "src/b.js:3 [no-undef] 'x' is not defined.",
    ]);
  });

  it("Biome's rules, which are links for the terminal whatever the environment says", () => {
    const link = "\u001b]8;;https://biomejs.dev/linter/rules/no-double-equals\u001b\\";
    const text = `\u001b[0msrc/a.ts\u001b[0m:\u001b[0m2\u001b[0m:\u001b[0m23\u001b[0m ${link}lint/suspicious/noDoubleEquals\u001b]8;;\u001b\\ ━━━━\n\n  × Using == may be unsafe.`;
    expect(found(text)).toEqual(["src/a.ts:2 [lint/suspicious/noDoubleEquals] Using == may be unsafe."]);
  });

  it("tsc's two forms, with colours and spaces", () => {
    expect(found("src/a.ts(3,7): error TS2304: Cannot find name 'x'.")).toEqual([
      "src/a.ts:3 [TS2304] Cannot find name 'x'.",
    ]);
    expect(
      found(
        "\u001b[96mmy file.ts\u001b[0m:\u001b[93m4\u001b[0m:\u001b[93m1\u001b[0m - \u001b[91merror\u001b[0m\u001b[90m TS1005: \u001b[0m';' expected.",
      ),
    ).toEqual(["my file.ts:4 [TS1005] ';' expected."]);
  });

  it("Ruff's two forms, and mypy", () => {
    expect(found("pkg/x.py:1:8: F401 [*] `os` imported but unused")).toEqual([
      "pkg/x.py:1 [F401] `os` imported but unused",
    ]);
    expect(found("F401 [*] `os` imported but unused\n --> pkg/x.py:1:8\n  |\n1 | import os\n")).toEqual([
      "pkg/x.py:1 [F401] `os` imported but unused",
    ]);
    const mypy =
      'pkg/x.py:2: error: Incompatible types in assignment (expression has type "str")  [assignment]\npkg/x.py:3: note: See above\n';
    expect(found(mypy)).toEqual([
      'pkg/x.py:2 [assignment] Incompatible types in assignment (expression has type "str")',
    ]);
  });

  it("pytest's places and its summary", () => {
    const output = `
    def test_add():
>       assert add(1, 2) == 3
E       assert -1 == 3
E        +  where -1 = add(1, 2)

tests/test_x.py:5: AssertionError
=========================== short test summary info ============================
FAILED tests/test_x.py::test_add - assert -1 == 3
ERROR tests/test_x.py - ModuleNotFoundError: No module named 'y'
`;
    expect(found(output)).toEqual([
      "tests/test_x.py:5 [null] assert -1 == 3",
      "tests/test_x.py:null [test_add] assert -1 == 3",
      "tests/test_x.py:null [null] ModuleNotFoundError: No module named 'y'",
    ]);
  });

  it("go vet, go build and go test, wherever the package is", () => {
    expect(
      found("# example.com/x/cmd\nvet: cmd/main.go:7:2: undefined: foo\n./cmd/main.go:9:1: missing return\n"),
    ).toEqual(["cmd/main.go:7 [null] undefined: foo", "cmd/main.go:9 [null] missing return"]);
    const test =
      "--- FAIL: TestAdd (0.00s)\n    calc_test.go:9: got 3, want 4\nFAIL\nFAIL\texample.com/me/x/calc\t0.002s\nok  \texample.com/me/x/cmd\t0.1s\n";
    expect(found(test)).toEqual(["calc/calc_test.go:9 [TestAdd] got 3, want 4"]);
  });

  it("rustc's errors and a test's panic", () => {
    expect(found("error[E0425]: cannot find value `y` in this scope\n --> src/main.rs:2:5\n  |\n")).toEqual([
      "src/main.rs:2 [E0425] cannot find value `y` in this scope",
    ]);
    expect(
      found("thread 'tests::adds' (123) panicked at src/main.rs:10:9:\nassertion `left == right` failed\n"),
    ).toEqual(["src/main.rs:10 [tests::adds] assertion `left == right` failed"]);
    expect(found("thread 'main' panicked at 'boom', src/main.rs:3:5")).toEqual(["src/main.rs:3 [null] boom"]);
  });

  it("Jest's blocks", () => {
    const at = root();
    const output = `FAIL src/b.js
  ● math › adds

    expect(received).toBe(expected)

    > 4 |   expect(add(1, 2)).toBe(4);

      at toBe (node_modules/expect/index.js:1:1)
      at Object.<anonymous> (src/b.js:4:21)
`;
    expect(found(output, at)).toEqual(["src/b.js:4 [math › adds] expect(received).toBe(expected)"]);
  });

  it("whatever writes path:line:col: message", () => {
    expect(found("lib/x.sh:3:7: warning: Quote this. [SC2086]")).toEqual([
      "lib/x.sh:3 [null] Quote this. [SC2086]",
    ]);
    const at = root();
    expect(found("x.py:4: unused", at, join(at, "pkg"))).toEqual(["pkg/x.py:4 [null] unused"]);
  });
});

describe("parseFindings", () => {
  it("takes nothing for a finding that is no file of the workspace", () => {
    const output =
      "12:30:45: started\nhttp://localhost:3000: up\n/etc/passwd:1: x\n../x.ts:1:1: y\nnode_modules/x/i.js:1:1: z\nmissing.ts:3:1: no\n";
    expect(found(output)).toEqual([]);
  });

  it("says one thing once, and not without end", () => {
    expect(found("src/a.ts:1:1: x\nsrc/a.ts:1:5: x\n")).toHaveLength(1);
    const flood = Array.from({ length: 5_000 }, (_, i) => `src/a.ts:${i}:1: message ${"m".repeat(900)}`).join(
      "\n",
    );
    const all = parseFindings(flood, { root: root(), cwd: "/" });
    expect(all.length).toBeLessThanOrEqual(FINDING_LIMITS.findings);
    for (const { message } of all) expect(message.length).toBeLessThanOrEqual(FINDING_LIMITS.messageChars);
  });

  it("stands any text, quickly", () => {
    const at = root();
    const part = fc.constantFrom(
      "src/a.ts",
      ":",
      "1",
      " ",
      "\n",
      "error",
      "E   ",
      "not ok 1 - x",
      "  ● ",
      "--- FAIL: T",
      "✖",
      "❯ ",
      "(",
      ")",
      "━━━",
      "-->",
      "'",
      "FAIL",
      "  ",
      "at ",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        for (const { path } of parseFindings(parts.join(""), { root: at, cwd: at }))
          expect(path).toBe("src/a.ts");
      }),
      { numRuns: 400 },
    );
    const startedAt = performance.now();
    for (const nasty of [
      "a:".repeat(100_000),
      " ".repeat(200_000),
      "at (".repeat(50_000),
      "error".repeat(40_000),
      "\n".repeat(300_000),
    ]) {
      parseFindings(nasty, { root: at, cwd: at });
    }
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });
});
