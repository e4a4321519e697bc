import type { GateSpec } from "../../contracts/gates.ts";
import { LIMITS } from "../../domain/limits.ts";

/** The repository as detection sees it: the files of its root. */
export interface Facts {
  has(path: string): boolean;
  /** The text of a file, `null` when there is none. */
  read(path: string): string | null;
}

/** What a file of the repository says cannot be understood; the message names it. */
export class DetectionError extends Error {
  override readonly name = "DetectionError";
}

type Found = Pick<GateSpec, "name" | "run"> & { readonly required?: boolean };

/**
 * The gates a repository shows by its files, cheapest first. Two kinds of project in one repository have both
 * their gates, the later ones under `kind-name`; a Makefile only adds what no other kind has.
 */
export function detectGates(facts: Facts): readonly GateSpec[] {
  const kinds: readonly (readonly [string, readonly Found[]])[] = [
    ["node", nodeGates(facts)],
    ["python", pythonGates(facts)],
    ["go", goGates(facts)],
    ["rust", rustGates(facts)],
  ];
  const gates: GateSpec[] = [];
  const taken = new Set<string>();
  const add = ({ name, run, required }: Found) => {
    taken.add(name);
    const timeoutMs = LIMITS.commandTimeoutMs;
    gates.push({ name, run, workdir: ".", timeoutMs, required: required ?? true, origin: "detected" });
  };
  for (const [kind, found] of kinds) {
    for (const one of found) add(taken.has(one.name) ? { ...one, name: `${kind}-${one.name}` } : one);
  }
  for (const one of makeGates(facts)) if (!taken.has(one.name)) add(one);
  const order = ["lint", "types", "test"];
  const rank = ({ name }: GateSpec) => order.indexOf(name.slice(name.lastIndexOf("-") + 1));
  return gates.sort((a, b) => rank(a) - rank(b));
}

const TYPE_SCRIPTS = ["typecheck", "type-check", "types", "check-types", "check:types", "tsc"];
/** What `npm init` writes. */
const NO_TEST = /no test specified/i;

function nodeGates(facts: Facts): readonly Found[] {
  const text = facts.read("package.json");
  if (text === null) return [];
  const manifest = parseManifest(text);
  const scripts = isRecord(manifest.scripts) ? manifest.scripts : {};
  const manager = packageManager(facts, manifest);
  const has = (name: string) => typeof scripts[name] === "string" && scripts[name].trim() !== "";
  // Through the shell: on Windows the package managers are not programs but scripts.
  const run = (script: string) => ({ shell: `${manager} run ${script}` });
  const found: Found[] = [];
  if (has("lint")) found.push({ name: "lint", run: run("lint") });
  const types = TYPE_SCRIPTS.find(has);
  if (types !== undefined) found.push({ name: "types", run: run(types) });
  if (has("test") && !NO_TEST.test(String(scripts.test))) found.push({ name: "test", run: run("test") });
  return found;
}

function parseManifest(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new DetectionError(
      `package.json is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (!isRecord(value)) throw new DetectionError("package.json is not a JSON object");
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function packageManager(facts: Facts, manifest: Record<string, unknown>): string {
  const said = /^(npm|pnpm|yarn|bun)@/.exec(String(manifest.packageManager ?? ""))?.[1];
  if (said !== undefined) return said;
  if (facts.has("pnpm-lock.yaml")) return "pnpm";
  if (facts.has("yarn.lock")) return "yarn";
  return facts.has("bun.lock") || facts.has("bun.lockb") ? "bun" : "npm";
}

function pythonGates(facts: Facts): readonly Found[] {
  const project = facts.read("pyproject.toml") ?? "";
  const setup = facts.read("setup.cfg") ?? "";
  const tox = facts.read("tox.ini") ?? "";
  const needs = ["requirements.txt", "requirements-dev.txt", "dev-requirements.txt", "requirements/dev.txt"]
    .map((path) => facts.read(path) ?? "")
    .join("\n");
  const hasTool = (name: string) => new RegExp(`^\\s*\\[tool\\.${name}[.\\]]`, "m").test(project);
  const isNamed = (name: string) =>
    new RegExp(`(?:^|["'\\s])${name}(?:["'\\s<>=~!;\\[]|$)`, "m").test(
      `${stripComments(project)}\n${stripComments(needs)}`,
    );
  const found: Found[] = [];
  if (hasTool("ruff") || facts.has("ruff.toml") || facts.has(".ruff.toml")) {
    found.push({ name: "lint", run: python(facts, "ruff", ["check", "."]) });
  }
  if (hasTool("mypy") || facts.has("mypy.ini") || facts.has(".mypy.ini") || /^\[mypy\]/m.test(setup)) {
    found.push({ name: "types", run: python(facts, "mypy", ["."]) });
  }
  const configured =
    hasTool("pytest") ||
    facts.has("pytest.ini") ||
    /^\[tool:pytest\]/m.test(setup) ||
    /^\[pytest\]/m.test(tox);
  if (configured || facts.has("conftest.py") || facts.has("tests/conftest.py") || isNamed("pytest")) {
    found.push({ name: "test", run: python(facts, "pytest", []) });
  }
  return found;
}

function stripComments(text: string): string {
  return text.replaceAll(/(?:^|\s)#.*$/gm, "");
}

/** By the project's own tool where its lock file names one: a worktree has no virtual environment yet. */
function python(facts: Facts, module: string, args: readonly string[]): GateSpec["run"] {
  if (facts.has("uv.lock")) return { program: "uv", args: ["run", module, ...args] };
  if (facts.has("poetry.lock")) return { program: "poetry", args: ["run", module, ...args] };
  if (facts.has("pdm.lock")) return { program: "pdm", args: ["run", module, ...args] };
  return { program: process.platform === "win32" ? "python" : "python3", args: ["-m", module, ...args] };
}

function goGates(facts: Facts): readonly Found[] {
  if (!facts.has("go.mod")) return [];
  return [
    { name: "lint", run: { program: "go", args: ["vet", "./..."] } },
    { name: "test", run: { program: "go", args: ["test", "./..."] } },
  ];
}

function rustGates(facts: Facts): readonly Found[] {
  const manifest = facts.read("Cargo.toml");
  if (manifest === null) return [];
  const asksForClippy =
    facts.has("clippy.toml") ||
    facts.has(".clippy.toml") ||
    /^\s*\[(?:workspace\.)?lints\.clippy\]/m.test(manifest);
  const clippy = ["clippy", "--all-targets", "--", "-D", "warnings"];
  return [
    // Not everybody has clippy: it judges only where the repository asks for it.
    { name: "lint", run: { program: "cargo", args: clippy }, required: asksForClippy },
    { name: "types", run: { program: "cargo", args: ["check", "--all-targets"] } },
    { name: "test", run: { program: "cargo", args: ["test"] } },
  ];
}

const MAKE_TARGETS: Readonly<Record<string, readonly string[]>> = {
  lint: ["lint"],
  types: ["typecheck", "types"],
  test: ["test", "check"],
};

function makeGates(facts: Facts): readonly Found[] {
  const text = ["GNUmakefile", "makefile", "Makefile"]
    .map((path) => facts.read(path))
    .find((found) => found !== null);
  if (text === null || text === undefined) return [];
  const targets = new Set<string>();
  for (const [, names = ""] of text.matchAll(/^([A-Za-z0-9_. -]+?)\s*::?(?!=)/gm)) {
    for (const name of names.split(/\s+/)) targets.add(name);
  }
  const found: Found[] = [];
  for (const [name, wanted] of Object.entries(MAKE_TARGETS)) {
    const target = wanted.find((one) => targets.has(one));
    if (target !== undefined) found.push({ name, run: { program: "make", args: [target] } });
  }
  return found;
}
