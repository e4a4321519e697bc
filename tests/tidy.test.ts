import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../src/domain/errors.ts";

// Our small laws. Each is here because it was worth breaking a build for; a new one says why.

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAX_LINES = 400;

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(folder: string, wanted: (path: string) => boolean): readonly Source[] {
  const found: Source[] = [];
  const walk = (dir: string) => {
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      if (statSync(path).isDirectory()) walk(path);
      else if (wanted(path)) {
        found.push({ path: relative(ROOT, path).split(sep).join("/"), text: readFileSync(path, "utf8") });
      }
    }
  };
  walk(join(ROOT, folder));
  return found;
}

const product = sources("src", (path) => path.endsWith(".ts") && !/\.(test|suite)\.ts$/.test(path));
const everything = [...product, ...sources("src", (path) => /\.(test|suite)\.ts$/.test(path))];

function breaking(rule: RegExp, allowed: (path: string) => boolean): readonly string[] {
  return product.filter(({ path, text }) => rule.test(text) && !allowed(path)).map(({ path }) => path);
}

describe("the laws of the house", () => {
  it("no file is longer than a head can hold, unless it says why in its first lines", () => {
    const long = everything.filter(
      ({ text }) => text.split("\n").length > MAX_LINES && !text.slice(0, 600).includes("Long because"),
    );
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it("only drive.ts makes a run's journal, and only the journal hands facts to the store", () => {
    expect(breaking(/new RunJournal\(/, (path) => path === "src/engine/drive.ts")).toEqual([]);
    expect(breaking(/\bstore\.commit\(/, (path) => path === "src/engine/group-commit.ts")).toEqual([]);
  });

  it("only app builds adapters", () => {
    const built = /import \{[^}]*\b(open|create)[A-Z]\w*[^}]*\} from "[^"]*\/adapters\//;
    expect(
      breaking(built, (path) => path.startsWith("src/app/") || path.startsWith("src/adapters/")),
    ).toEqual([]);
  });

  it("the environment is read in app and cli only", () => {
    expect(
      breaking(
        /\bprocess\.env\b/,
        (path) => /^src\/(app|cli)\//.test(path) || path.startsWith("src/adapters/sandbox/host/"),
      ),
    ).toEqual([]);
  });

  it("no code is evaluated from text", () => {
    expect(breaking(/\beval\(|new Function\(/, () => false)).toEqual([]);
  });

  it("every catalogue code is used by the product", () => {
    const text = product
      .filter(({ path }) => path !== "src/domain/errors.ts")
      .map((one) => one.text)
      .join("\n");
    const unused = Object.keys(ERRORS).filter((code) => !text.includes(`"${code}"`));
    expect(unused).toEqual([]);
  });

  it("every contract that several parts may fulfil has its suite", () => {
    const suites = everything.filter(
      ({ path }) => path.startsWith("src/contracts/") && path.endsWith(".suite.ts"),
    );
    for (const name of ["run-store", "workflow-store", "artifact-store", "sandbox", "tool"]) {
      expect(suites.map(({ path }) => path)).toContain(`src/contracts/${name}.suite.ts`);
    }
  });

  it("tests do not sleep: they wait for something", () => {
    const sleeping = everything.filter(
      ({ path, text }) =>
        path.endsWith(".test.ts") && /setTimeout\(\s*(resolve|r|done)\s*,\s*[1-9]/.test(text),
    );
    expect(sleeping.map(({ path }) => path)).toEqual([]);
  });

  it("every floor of src says what lives there", () => {
    for (const name of readdirSync(join(ROOT, "src"))) {
      if (!statSync(join(ROOT, "src", name)).isDirectory()) continue;
      const readme = readFileSync(join(ROOT, "src", name, "README.md"), "utf8");
      expect(readme.split("\n").length, name).toBeLessThanOrEqual(16);
    }
  });

  it("scripts run on every system: no shell words in package.json", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const shellish = Object.entries(scripts).filter(([, line]) =>
      /[;|$`*]|(^|\s)(rm|cp|mv|mkdir|export|cat|sh|bash)\s/.test(line),
    );
    expect(shellish).toEqual([]);
  });

  it(".env.example names every setting", () => {
    const example = readFileSync(join(ROOT, ".env.example"), "utf8");
    const config = readFileSync(join(ROOT, "src/app/config.ts"), "utf8");
    const settings = [...config.matchAll(/^ {2}(AGENT_RUNNER_[A-Z_]+):/gm)].map(
      (match) => match[1] as string,
    );
    expect(settings.length).toBeGreaterThan(3);
    for (const setting of settings) expect(example).toContain(setting);
  });
});
