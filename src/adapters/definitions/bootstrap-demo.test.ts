import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { evaluateTemplate } from "../../domain/template.ts";
import type { Scope } from "../../domain/workflow.ts";
import { createExpressions } from "../expressions/cel.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";
import { checkInputs } from "./inputs.ts";
import { packageRoot } from "./library.ts";

const run = promisify(execFile);
const expressions = createExpressions();
const definitions = createDefinitions({ actions: builtInActions(), expressions, toolNames: TOOL_NAMES });

/** The demonstration's own files and its own check, without the engine. */
describe("quarkus-bootstrap-v1", () => {
  let root = "";
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "bootstrap-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function scaffold(given: Record<string, string>): Promise<void> {
    const source = await readFile(path.join(packageRoot(), "workflows/quarkus-bootstrap-v1.yaml"), "utf8");
    const parsed = definitions.parseWorkflow(source, "w.yaml");
    if (!parsed.ok) throw new Error(parsed.failure.message);
    const inputs = checkInputs(parsed.value, { repo: "/r", ...given });
    if (!inputs.ok) throw new Error(inputs.failure.message);
    const step = parsed.value.steps.find((one) => one.id === "scaffold");
    const scope: Scope = {
      inputs: inputs.value,
      run: { id: "run_1", workflow: "w", tenant: "t" },
      steps: { workspace: { status: "succeeded", outputs: { root }, error: null } },
      status: { success: true, failure: false },
    };
    const filled = evaluateTemplate(step!.with, scope, expressions);
    if (!filled.ok) throw new Error(filled.message);
    const { write } = filled.value as { write: readonly { path: string; content: string }[] };
    for (const file of write) {
      await mkdir(path.dirname(path.join(root, file.path)), { recursive: true });
      await writeFile(path.join(root, file.path), file.content);
    }
  }
  const check = () => run(process.execPath, ["scripts/check-structure.mjs"], { cwd: root });
  const edit = async (file: string, from: string, to: string) => {
    const text = await readFile(path.join(root, file), "utf8");
    expect(text).toContain(from);
    await writeFile(path.join(root, file), text.replace(from, to));
  };

  it("makes a project that its check accepts", async () => {
    await scaffold({ package: "com.example.shop.api", greeting: "Hi there!" });
    expect((await check()).stdout.trim()).toBe("structure: ok");
    const resource = path.join(root, "src/main/java/com/example/shop/api/GreetingResource.java");
    expect(await readFile(resource, "utf8")).toContain('return "Hi there!";');
    expect(await readFile(path.join(root, "pom.xml"), "utf8")).toContain(
      "<version>${quarkus.platform.version}</version>",
    );
  });

  it.each([
    ["pom.xml", "</build>", "</bulid>", "</bulid> closes nothing"],
    [
      "src/main/java/org/acme/greeting/GreetingResource.java",
      "package org.acme.greeting",
      "package org.other",
      "is in folder",
    ],
    [
      "src/test/java/org/acme/greeting/GreetingResourceTest.java",
      "class GreetingResourceTest {",
      "class GreetingResourceTest",
      "braces",
    ],
  ])("has a check that fails on a broken %s", async (file, from, to, expected) => {
    await scaffold({});
    await edit(file, from, to);
    await expect(check()).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(expected) });
  });

  it("takes no inputs that would break out of its files", async () => {
    await expect(scaffold({ package: "../../etc" })).rejects.toThrow("`package`");
    await expect(scaffold({ greeting: '"); System.exit(1); ("' })).rejects.toThrow("`greeting`");
  });
});
