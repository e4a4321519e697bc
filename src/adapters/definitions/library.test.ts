import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectExpressions } from "../../domain/template.ts";
import { createExpressions } from "../expressions/cel.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";
import { loadLibrary, packageRoot } from "./library.ts";

const definitions = createDefinitions({
  actions: builtInActions(),
  expressions: createExpressions(),
  toolNames: TOOL_NAMES,
});
const workflow = (name: string, description = "d") =>
  `name: ${name}\nversion: "1"\ndescription: ${description}\nsteps: [{ id: a, uses: noop }]\n`;
const agent = (name: string, prompt = "You help.") => `---\nname: ${name}\ndescription: d\n---\n${prompt}\n`;

describe("what is shipped", () => {
  it("is read without a word of complaint", async () => {
    const library = await loadLibrary({ definitions });
    expect(library.diagnostics).toEqual([]);
    expect(library.warnings).toEqual([]);
    const files = await readdir(path.join(packageRoot(), "workflows"));
    expect(library.workflows.map((entry) => `${entry.value.name}.yaml`)).toEqual(files.sort());
    expect(library.workflows.map((entry) => entry.value.name)).toEqual(
      expect.arrayContaining([
        "analyze",
        "bug-fix",
        "code-change",
        "code-review",
        "documentation",
        "hello",
        "quarkus-bootstrap-v1",
      ]),
    );
    expect(library.agents.map((entry) => entry.value.name)).toEqual(
      expect.arrayContaining(["analyze", "bug_fix", "code_review", "documentation", "implement", "plan"]),
    );
    for (const { file, value } of library.agents) expect(path.basename(file, ".md")).toBe(value.name);
  });

  it("names only agents that are there, and leaves no limit out", async () => {
    const library = await loadLibrary({ definitions });
    const agents = new Set(library.agents.map((entry) => entry.value.name));
    for (const { value } of library.workflows) {
      for (const step of value.steps) {
        if (step.uses !== "agent" && step.uses !== "model") continue;
        const name = step.with.agent;
        if (typeof name === "string" && collectExpressions(name).length === 0) expect(agents).toContain(name);
        expect(step.timeoutMs, `${value.name}.${step.id}`).toBeGreaterThan(0);
      }
      const { properties } = value.inputs as { properties: Record<string, { default?: string }> };
      if (properties.agent?.default !== undefined) expect(agents).toContain(properties.agent.default);
    }
    for (const { value } of library.agents) {
      expect(value.prompt.length, value.name).toBeLessThan(4_000);
      if (!value.tools.includes("write")) expect(value.validation.gates, value.name).toBe(false);
    }
  });
});

describe("loadLibrary", () => {
  let root = "";
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "library-"));
    for (const folder of [
      "built-in/workflows",
      "built-in/agents",
      "project/.agent-runner/workflows",
      "project/.agent-runner/agents",
    ]) {
      await mkdir(path.join(root, folder), { recursive: true });
    }
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const put = (file: string, text: string | Buffer) => writeFile(path.join(root, file), text);
  const load = (project = true) =>
    loadLibrary({
      definitions,
      builtIn: path.join(root, "built-in"),
      ...(project ? { project: path.join(root, "project") } : {}),
    });

  it("lets a project override by name", async () => {
    await put("built-in/workflows/one.yaml", workflow("one", "shipped"));
    await put("built-in/workflows/two.yml", workflow("two"));
    await put("built-in/workflows/notes.txt", "not a workflow");
    await put("built-in/agents/helper.md", agent("helper", "Shipped."));
    await put("project/.agent-runner/workflows/mine.yaml", workflow("one", "ours"));
    await put("project/.agent-runner/agents/helper.md", agent("helper", "Ours."));
    const library = await load();
    expect(library.diagnostics).toEqual([]);
    expect(
      library.workflows.map(({ value, origin, file }) => [value.name, value.description, origin, file]),
    ).toEqual([
      ["one", "ours", "project", ".agent-runner/workflows/mine.yaml"],
      ["two", "d", "built-in", "workflows/two.yml"],
    ]);
    expect(library.agents.map(({ value, origin }) => [value.prompt, origin])).toEqual([["Ours.", "project"]]);
    expect((await load(false)).workflows[0]?.value.description).toBe("shipped");
    expect(library.workflows[0]?.source).toBe(workflow("one", "ours"));
  });

  it("leaves a broken file out and says so, without bringing the shipped one back", async () => {
    await put("built-in/workflows/one.yaml", workflow("one"));
    await put("built-in/workflows/two.yaml", workflow("two"));
    await put("project/.agent-runner/workflows/one.yaml", workflow("one").replace("noop", "nop"));
    const library = await load();
    expect(library.workflows.map(({ value }) => value.name)).toEqual(["two"]);
    expect(library.diagnostics).toMatchObject([
      { file: ".agent-runner/workflows/one.yaml", line: 4, path: "steps[0].uses", suggestion: "noop" },
    ]);
  });

  it("refuses two of one name in one place, files that are too large, and bytes that are no text", async () => {
    await put("built-in/workflows/a.yaml", workflow("same", "first"));
    await put("built-in/workflows/b.yaml", workflow("same", "second"));
    await put("built-in/workflows/c.yaml", `#${"x".repeat(300_000)}`);
    await put("built-in/agents/d.md", Buffer.from([0xff, 0xfe, 0x00]));
    await mkdir(path.join(root, "built-in/workflows/folder.yaml"));
    const library = await load(false);
    expect(library.workflows.map(({ value }) => value.description)).toEqual(["first"]);
    expect(library.diagnostics.map(({ file, message }) => `${file}: ${message}`)).toEqual([
      "workflows/b.yaml: `same` is already defined in workflows/a.yaml",
      "workflows/c.yaml: the file has 300001 bytes",
      expect.stringContaining("workflows/folder.yaml: the file cannot be read"),
      expect.stringContaining("agents/d.md: the file does not start with front matter"),
    ]);
  });

  it("does without project folders, but not without the shipped ones", async () => {
    await rm(path.join(root, "project/.agent-runner"), { recursive: true });
    expect((await load()).diagnostics).toEqual([]);
    await rm(path.join(root, "built-in/agents"), { recursive: true });
    expect((await load()).diagnostics).toMatchObject([{ file: "agents" }]);
  });
});

describe("packageRoot", () => {
  it("is where package.json is", async () => {
    const text = await readFile(path.join(packageRoot(), "package.json"), "utf8");
    expect(JSON.parse(text)).toMatchObject({ name: "agent-runner" });
  });
});
