import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { repositoryGates } from "./gates.ts";
import { gatesSchema, parseGatesFile } from "./gates-file.ts";
import { folder, must } from "./playground.suite.ts";

const gates = repositoryGates();
const told = (source: string) => {
  const result = parseGatesFile(source);
  if (result.ok) expect.fail("the file was taken");
  expect(result.failure.code).toBe("invalid_gates");
  return result.failure.message.replaceAll(".agent-runner/gates.yaml:", "");
};
const detected = async (files: Readonly<Record<string, string>>) =>
  must(await gates.specs(folder(files))).map(({ name, run, required, origin }) => {
    expect(origin).toBe("detected");
    const line = "shell" in run ? run.shell : [run.program, ...run.args].join(" ");
    return `${name}${required ? "" : "?"}: ${line}`;
  });

describe(".agent-runner/gates.yaml", () => {
  it("says what runs, where, for how long", async () => {
    const root = folder({
      "package.json": '{"scripts": {"test": "ignored: the file decides"}}',
      ".agent-runner/gates.yaml": `# ours
gates:
  - name: lint
    run: npm run lint && echo done
    timeout: 90s
    required: false
  - name: unit-tests
    run: [go, test, "./..."]
    workdir: services/api/
`,
    });
    expect(must(await gates.specs(root))).toEqual([
      {
        name: "lint",
        run: { shell: "npm run lint && echo done" },
        workdir: ".",
        timeoutMs: 90_000,
        required: false,
        origin: "configured",
      },
      {
        name: "unit-tests",
        run: { program: "go", args: ["test", "./..."] },
        workdir: "services/api",
        timeoutMs: 600_000,
        required: true,
        origin: "configured",
      },
    ]);
  });

  it("may say that there are none", () => {
    expect(parseGatesFile("gates: []")).toEqual({ ok: true, value: [] });
  });

  it("names every mistake by line, column and field", () => {
    const source = `gates:
  - name: lint
    run: x
    timout: 5m
  - name: Bad Name
    run: []
    workdir: ../outside
  - run: 5
    required: maybe
    timeout: 300
gate: []
`;
    expect(told(source).split("\n")).toEqual([
      '4:5: gates[0].timout: unknown key "timout"; did you mean "timeout"?',
      "5:11: gates[1].name: a name has 1 to 40 of a-z, 0-9, - and _, and begins with a letter or digit",
      "6:10: gates[1].run: the list is empty: it begins with the program",
      "8:5: gates[2].name: a gate has a name",
      "8:10: gates[2].run: run is one line for the shell, or a list: the program and its arguments",
      '10:14: gates[2].timeout: timeout is a duration like "90s" or "10m"',
      "9:15: gates[2].required: required is true or false",
      '11:1: gate: unknown key "gate"; did you mean "gates"?',
    ]);
    expect(
      told("gates:\n  - {name: a, run: x, workdir: a/../../b}\n  - {name: a, run: y, timeout: 7h}\n").split(
        "\n",
      ),
    ).toEqual([
      '2:32: gates[0].workdir: "a/../../b" is not a folder inside the repository, written with forward slashes',
      '3:12: gates[1].name: "a" is the name of gates[0] already',
      '3:32: gates[1].timeout: "7h" is not between 1ms and 6h',
    ]);
  });

  it("refuses what is not YAML, not a map, too much", () => {
    expect(told("gates:\n  - name: [a\n")).toMatch(/^3:1: |^2:/);
    expect(told("gates: []\ngates: []\n")).toMatch(/^2:1: .*unique/i);
    expect(told("")).toBe("1:1: the file is a map with the key `gates`");
    expect(told("- a")).toBe("1:1: the file is a map with the key `gates`");
    expect(told(`gates: [${"{name: a, run: x},".repeat(33)}]`)).toContain("more than 32 gates");
    expect(told(`a: &a [x]\ngates: [${"*a, ".repeat(5_000)}]`)).toBeTruthy();
    for (const workdir of ["/etc", "C:\\x", "a\\b"]) {
      expect(told(`gates:\n  - {name: a, run: x, workdir: '${workdir}'}`)).toContain("not a folder inside");
    }
  });

  it("is refused when it is large, a link out of the repository, or named otherwise", async () => {
    const code = async (root: string) => {
      const result = await gates.specs(root);
      return result.ok ? "ok" : result.failure.code;
    };
    expect(await code(folder({ ".agent-runner/gates.yaml": "#".repeat(300_000) }))).toBe("limit_exceeded");
    expect(await code(folder({ ".agent-runner/gates.yml": "gates: []" }))).toBe("invalid_gates");
    const root = folder({});
    mkdirSync(join(root, ".agent-runner"));
    symlinkSync(
      join(folder({ "gates.yaml": "gates: []" }), "gates.yaml"),
      join(root, ".agent-runner/gates.yaml"),
    );
    expect(await code(root)).toBe("workspace_escape");
    const asFolder = folder({});
    mkdirSync(join(asFolder, ".agent-runner/gates.yaml"), { recursive: true });
    expect(await code(asFolder)).toBe("invalid_gates");
  });

  it("takes no text badly: gates, or mistakes with a place", () => {
    const part = fc.constantFrom(
      "gates",
      ":",
      " ",
      "\n",
      "-",
      "name",
      "run",
      "a",
      "[",
      "]",
      "{",
      "}",
      '"',
      "&a",
      "*a",
      "|",
      "5",
      "\t",
      "#",
      "!!x",
      "~",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 25 }), (parts) => {
        const result = parseGatesFile(parts.join(""));
        if (!result.ok) expect(result.failure.message).toMatch(/^\.agent-runner\/gates\.yaml:\d+:\d+: /);
      }),
      { numRuns: 500 },
    );
  });

  it("has a JSON Schema that agrees", () => {
    const check = new Ajv2020({ strict: false }).compile(gatesSchema());
    const good =
      "gates:\n  - {name: a, run: x, timeout: 1h30m}\n  - {name: b, run: [x, y], workdir: z, required: false}\n";
    expect(check(parse(good))).toBe(true);
    for (const bad of [
      "gates:\n  - {name: a}",
      "gates:\n  - {name: a, run: x, extra: 1}",
      "gates:\n  - {name: A, run: x}",
      "{}",
    ]) {
      expect(check(parse(bad)), bad).toBe(false);
      expect(parseGatesFile(bad).ok, bad).toBe(false);
    }
  });
});

describe("detection", () => {
  const scripts = (map: object, extra: object = {}) => JSON.stringify({ scripts: map, ...extra });

  it("finds the scripts of a Node project, by its package manager", async () => {
    const all = { lint: "eslint .", typecheck: "tsc", test: "vitest run", build: "x" };
    expect(await detected({ "package.json": scripts(all) })).toEqual([
      "lint: npm run lint",
      "types: npm run typecheck",
      "test: npm run test",
    ]);
    expect(await detected({ "package.json": scripts({ types: "tsc" }), "pnpm-lock.yaml": "" })).toEqual([
      "types: pnpm run types",
    ]);
    expect(await detected({ "package.json": scripts({ lint: "x" }), "yarn.lock": "" })).toEqual([
      "lint: yarn run lint",
    ]);
    expect(
      await detected({
        "package.json": scripts({ lint: "x" }, { packageManager: "bun@1.3.0" }),
        "yarn.lock": "",
      }),
    ).toEqual(["lint: bun run lint"]);
  });

  it("ignores the test that npm init writes, and empty scripts", async () => {
    const stub = 'echo "Error: no test specified" && exit 1';
    expect(await detected({ "package.json": scripts({ test: stub, lint: " " }) })).toEqual([]);
    expect(await detected({ "package.json": "{}" })).toEqual([]);
  });

  it("says so when package.json cannot be read", async () => {
    for (const text of ["{", "[]", "null"]) {
      const result = await gates.specs(folder({ "package.json": text }));
      expect(result).toMatchObject({
        ok: false,
        failure: { code: "invalid_gates", message: expect.stringContaining("package.json") },
      });
    }
  });

  const python = process.platform === "win32" ? "python" : "python3";
  it("finds what a Python project configures", async () => {
    expect(
      await detected({
        "pyproject.toml": "[tool.ruff]\n[tool.mypy]\nstrict = true\n[tool.pytest.ini_options]\n",
      }),
    ).toEqual([`lint: ${python} -m ruff check .`, `types: ${python} -m mypy .`, `test: ${python} -m pytest`]);
    expect(
      await detected({ "pyproject.toml": '[dependency-groups]\ndev = ["pytest>=8"]\n', "uv.lock": "" }),
    ).toEqual(["test: uv run pytest"]);
    expect(await detected({ "setup.cfg": "[tool:pytest]\n", "poetry.lock": "" })).toEqual([
      "test: poetry run pytest",
    ]);
    expect(await detected({ "requirements.txt": "flask\n# pytest\npytest-cov\n" })).toEqual([]);
    expect(await detected({ "requirements-dev.txt": "pytest==8.1\n" })).toEqual([
      `test: ${python} -m pytest`,
    ]);
    expect(await detected({ "pyproject.toml": '[project]\nname = "x"\n' })).toEqual([]);
  });

  it("finds Go, Rust and Make", async () => {
    expect(await detected({ "go.mod": "module x" })).toEqual(["lint: go vet ./...", "test: go test ./..."]);
    expect(await detected({ "Cargo.toml": "[package]" })).toEqual([
      "lint?: cargo clippy --all-targets -- -D warnings",
      "types: cargo check --all-targets",
      "test: cargo test",
    ]);
    expect((await detected({ "Cargo.toml": "[lints.clippy]\nall = 'deny'" }))[0]).toMatch(
      /^lint: cargo clippy/,
    );
    const makefile = "TEST := x\nlint test: build\n\t@echo hi\n.PHONY: lint\ntypes:=no\ncheck::\n";
    expect(await detected({ Makefile: makefile })).toEqual(["lint: make lint", "test: make test"]);
  });

  it("puts kinds together: each its gates, Make only what nobody has", async () => {
    const files = {
      "package.json": scripts({ lint: "x", test: "x" }),
      "go.mod": "module x",
      Makefile: "test:\ntypes:\n",
    };
    expect(await detected(files)).toEqual([
      "lint: npm run lint",
      "go-lint: go vet ./...",
      "types: make types",
      "test: npm run test",
      "go-test: go test ./...",
    ]);
  });

  it("finds nothing in an empty repository: a fact, no error", async () => {
    expect(await detected({})).toEqual([]);
    const root = folder({});
    writeFileSync(join(root, "README.md"), "x");
    expect(must(await gates.specs(root))).toEqual([]);
  });
});
