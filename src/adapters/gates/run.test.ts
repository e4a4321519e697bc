import { execFileSync } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { GateSpec } from "../../contracts/gates.ts";
import type { Sandbox } from "../../contracts/sandbox.ts";
import { repositoryGates } from "./gates.ts";
import { folder, must, plainSandbox } from "./playground.suite.ts";

const { run } = repositoryGates();
const never = new AbortController().signal;
const isWindows = process.platform === "win32";

function gate(command: GateSpec["run"], over: Partial<GateSpec> = {}): GateSpec {
  return {
    name: "g",
    run: command,
    workdir: ".",
    timeoutMs: 60_000,
    required: true,
    origin: "configured",
    ...over,
  };
}
const node = (code: string): GateSpec["run"] => ({ program: process.execPath, args: ["-e", code] });
const judge = async (root: string, spec: GateSpec) =>
  must(await run(spec, { root, sandbox: plainSandbox, signal: never }));
const has = (program: string, ...args: readonly string[]) => {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

describe("a gate", () => {
  it("passes by its exit code alone, and keeps what was printed", async () => {
    const root = folder({});
    const good = await judge(root, gate(node('console.log("out"); console.error("err")')));
    expect(good).toMatchObject({
      passed: true,
      exitCode: 0,
      output: "out\nerr\n",
      findings: [],
      elidedBytes: 0,
      timedOut: false,
    });
    expect(good.ms).toBeGreaterThan(0);
    const bad = await judge(
      root,
      gate(node('console.log("all good"); process.exit(3)'), { required: false }),
    );
    expect(bad).toMatchObject({ passed: false, exitCode: 3, required: false });
  });

  it("runs in its folder, as one that nobody watches", async () => {
    const root = folder({ "sub dir/x": "" });
    const { output } = await judge(
      root,
      gate(node("console.log(process.cwd(), process.env.CI)"), { workdir: "sub dir" }),
    );
    expect(output).toBe(`${join(root, "sub dir")} true\n`);
  });

  it("fails, and does not crash, when it cannot start", async () => {
    const root = folder({});
    const missing = await judge(root, gate({ program: "no-such-program-anywhere", args: ["-x"] }));
    expect(missing).toMatchObject({ passed: false, exitCode: null, command: "no-such-program-anywhere -x" });
    expect(missing.output).toContain("could not be started");
    const inShell = await judge(root, gate({ shell: "no-such-program-anywhere --x" }));
    expect(inShell.passed).toBe(false);
    if (!isWindows)
      expect(inShell.output).toContain(
        "[agent-runner] exit code 127: a program that the gate names is not installed",
      );
    const nowhere = await judge(root, gate(node("1"), { workdir: "missing" }));
    expect(nowhere).toMatchObject({
      passed: false,
      output: expect.stringContaining('its workdir "missing" does not exist'),
    });
  });

  it.skipIf(isWindows)("does not follow a workdir out of the repository", async () => {
    const root = folder({});
    symlinkSync(folder({}), join(root, "out"));
    const result = await judge(root, gate(node("1"), { workdir: "out" }));
    expect(result).toMatchObject({
      passed: false,
      output: expect.stringContaining("outside the repository"),
    });
  });

  it("is ended at its time limit, and says so", async () => {
    const result = await judge(folder({}), gate(node("setInterval(() => {}, 1000)"), { timeoutMs: 300 }));
    expect(result).toMatchObject({
      passed: false,
      timedOut: true,
      output: expect.stringContaining("time limit of 300ms"),
    });
  });

  it("that is canceled is no verdict", async () => {
    const abort = new AbortController();
    const options = { root: folder({}), sandbox: plainSandbox, signal: abort.signal };
    const forever = gate(node("setInterval(() => {}, 1000)"));
    const sandbox: Sandbox = {
      name: "plain",
      run: (command, around) => {
        setImmediate(() => abort.abort());
        return plainSandbox.run(command, around);
      },
    };
    expect(await run(forever, { ...options, sandbox })).toMatchObject({
      ok: false,
      failure: { code: "canceled" },
    });
    expect(await run(forever, options)).toMatchObject({ ok: false, failure: { code: "canceled" } });
  });

  it("keeps head and tail of a flood", async () => {
    const result = await judge(
      folder({}),
      gate(node('for (let i = 0; i < 80000; i++) console.log("line " + i)')),
    );
    expect(result.output).toMatch(/^line 0\n/);
    expect(result.output).toMatch(/line 79999\n$/);
    expect(result.elidedBytes).toBeGreaterThan(0);
    expect(result.output.length).toBeLessThan(300_000);
  });
});

describe("with real tools, a gate finds", () => {
  it("what tsc reports", async () => {
    const root = folder({
      "src/a.ts": 'export const n: number = "x";\n',
      "tsconfig.json": '{"include": ["src"]}',
    });
    const { findings, passed } = await judge(root, gate({ shell: "tsc --noEmit -p ." }));
    expect(passed).toBe(false);
    expect(findings).toEqual([
      {
        path: "src/a.ts",
        line: 1,
        rule: "TS2322",
        message: "Type 'string' is not assignable to type 'number'.",
      },
    ]);
  });

  it("what Biome reports", async () => {
    const root = folder({
      "biome.json": "{}",
      "src/a.js": "debugger;\n",
      "src/b.js": "let  a = 1\nexport { a }\n",
    });
    const { findings } = await judge(root, gate({ shell: "biome check ." }));
    expect(findings).toContainEqual(
      expect.objectContaining({ path: "src/a.js", line: 1, rule: "lint/suspicious/noDebugger" }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({ path: "src/b.js", line: null, rule: "format" }),
    );
  });

  it("what node:test reports, in both its forms", async () => {
    const test = `const test = require("node:test");
const assert = require("node:assert");
test("good", () => {});
test("suite", async (t) => {
  await t.test("bad sum", () => {
    assert.strictEqual(1 + 1, 3);
  });
});
`;
    const root = folder({ "test/a.test.js": test });
    for (const reporter of ["spec", "tap"]) {
      const command = {
        program: process.execPath,
        args: ["--test", `--test-reporter=${reporter}`, "test/a.test.js"],
      };
      const { findings, passed } = await judge(root, gate(command));
      expect(passed).toBe(false);
      expect(findings, reporter).toContainEqual(
        expect.objectContaining({
          path: "test/a.test.js",
          line: 5,
          rule: "bad sum",
          message: expect.stringContaining("strictly equal"),
        }),
      );
    }
  });

  it("what Vitest reports", async () => {
    const test = `import { expect, it } from "vitest";
it("adds up", () => {
  expect(1 + 1).toBe(3);
});
`;
    const root = folder({ "a.test.ts": test, "package.json": '{"type": "module"}' });
    symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"), "junction");
    const { findings } = await judge(root, gate({ shell: "vitest run --root ." }));
    expect(findings).toContainEqual(
      expect.objectContaining({
        path: "a.test.ts",
        line: 3,
        rule: "adds up",
        message: expect.stringContaining("expected 2 to be 3"),
      }),
    );
  });

  it.skipIf(!has("python3", "-m", "pytest", "--version"))("what pytest reports", async () => {
    const root = folder({
      "pkg/calc.py": "def add(a, b):\n    return a - b\n",
      "test_calc.py": "from pkg.calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    });
    const { findings } = await judge(
      root,
      gate({ program: "python3", args: ["-m", "pytest", "-p", "no:cacheprovider"] }),
    );
    expect(findings[0]).toMatchObject({
      path: "test_calc.py",
      line: 5,
      message: expect.stringContaining("assert -1 == 3"),
    });
  });

  it.skipIf(!has("python3", "--version"))("what a Python traceback says", async () => {
    const test =
      "import unittest\n\nclass T(unittest.TestCase):\n    def test_x(self):\n        self.assertEqual(1, 2)\n";
    const root = folder({ "test_x.py": test });
    const { findings } = await judge(root, gate({ program: "python3", args: ["-B", "-m", "unittest"] }));
    expect(findings).toEqual([
      { path: "test_x.py", line: 5, message: "AssertionError: 1 != 2", rule: "AssertionError" },
    ]);
  });

  it.skipIf(!has("cargo", "--version"))("what cargo reports", async () => {
    const manifest = '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n';
    const wrong = folder({ "Cargo.toml": manifest, "src/lib.rs": 'pub fn n() -> u32 {\n    "x"\n}\n' });
    const cargo = (...args: readonly string[]) => gate({ program: "cargo", args: [...args, "--offline"] });
    expect((await judge(wrong, cargo("check"))).findings).toContainEqual({
      path: "src/lib.rs",
      line: 2,
      rule: "E0308",
      message: "mismatched types",
    });
  });

  it("runs make where it is installed", async () => {
    if (!has("make", "--version")) return;
    const root = folder({ Makefile: "test:\n\t@echo 'a.c:3:1: error: no' && false\n", "a.c": "x" });
    const result = await judge(root, gate({ program: "make", args: ["test"] }));
    expect(result).toMatchObject({ passed: false, exitCode: 2 });
    expect(result.findings[0]).toMatchObject({ path: "a.c", line: 3, message: "no" });
    expect(existsSync(join(root, "Makefile"))).toBe(true);
  });
});
