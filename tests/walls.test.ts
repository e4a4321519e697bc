import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// The walls are only worth something if they bite: a copy of the floors gets forbidden imports planted, one each.

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DEPCRUISE = join(ROOT, "node_modules", "dependency-cruiser", "bin", "dependency-cruiser.mjs");
const TSC = join(ROOT, "node_modules", "typescript", "bin", "tsc");

/** File, what it imports, and the rule that must catch it. */
const PLANTED: readonly (readonly [string, string, string])[] = [
  [
    "src/base/planted.ts",
    'import { LIMITS } from "../domain/limits.ts";\nexport const x = LIMITS;',
    "floor:base",
  ],
  [
    "src/domain/planted-a.ts",
    'import { readFileSync } from "node:fs";\nexport const x = readFileSync;',
    "domain-has-no-packages",
  ],
  [
    "src/domain/planted-b.ts",
    'import fastify from "fastify";\nexport const x = fastify;',
    "domain-has-no-packages",
  ],
  [
    "src/domain/planted-c.ts",
    'import type { Tool } from "../contracts/tool.ts";\nexport type X = Tool;',
    "floor:domain",
  ],
  [
    "src/contracts/planted.ts",
    'import { LIMITS } from "../domain/limits.ts";\nexport const x = LIMITS;',
    "contracts-hold-no-code",
  ],
  [
    "src/engine/planted-a.ts",
    'import { createLive } from "../adapters/live/in-process.ts";\nexport const x = createLive;',
    "floor:engine",
  ],
  [
    "src/engine/planted-b.ts",
    'import { readConfig } from "../app/config.ts";\nexport const x = readConfig;',
    "floor:engine",
  ],
  [
    "src/gateway/planted.ts",
    'import { Drive } from "../engine/drive.ts";\nexport const x = Drive;',
    "floor:gateway",
  ],
  [
    "src/operations/planted.ts",
    'import { Worker } from "../engine/worker.ts";\nexport const x = Worker;',
    "floor:operations",
  ],
  [
    "src/adapters/live/planted-a.ts",
    'import { Drive } from "../../engine/drive.ts";\nexport const x = Drive;',
    "floor:adapters",
  ],
  [
    "src/adapters/live/planted-b.ts",
    'import { createToolBox } from "../tools/planted.ts";\nexport const x = createToolBox;',
    "adapters-are-strangers",
  ],
  [
    "src/adapters/models/fake-server/planted.ts",
    'import { isRetryAfter } from "../ai-sdk/retry-after.ts";\nexport const x = isRetryAfter;',
    "fakes-are-strangers",
  ],
  [
    "src/http/planted.ts",
    'import { Worker } from "../engine/worker.ts";\nexport const x = Worker;',
    "floor:http",
  ],
  ["src/domain/planted-d.ts", 'import { y } from "./planted-e.ts";\nexport const x = y;', "no-cycles"],
  [
    "src/engine/planted-c.ts",
    'import { request } from "../domain/testing.suite.ts";\nexport const x = request;',
    "suites-are-for-tests",
  ],
  [
    "console/src/planted.ts",
    'import { createHttpServer } from "../../src/http/server.ts";\nexport const x = createHttpServer;',
    "console-knows-only-the-api",
  ],
  ["src/app/planted-orphan.ts", "export const lonely = 1;", "no-orphans"],
  [
    "src/app/planted-dev.ts",
    'import fc from "fast-check";\nexport const x = fc;',
    "no-dev-dependencies-in-product",
  ],
];

describe("the walls bite", () => {
  let copy: string;

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), "agent-runner-walls-"));
    for (const name of [
      "src",
      "package.json",
      "tsconfig.json",
      "tsconfig.pure.json",
      ".dependency-cruiser.cjs",
    ]) {
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"), "junction");
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  /** Into a file: a pipe may be cut when the tool exits at once. */
  async function output(args: readonly string[]): Promise<string> {
    const file = join(copy, "output.txt");
    const fd = openSync(file, "w");
    try {
      const child = spawn(process.execPath, args, { cwd: copy, stdio: ["ignore", fd, fd] });
      await once(child, "exit");
    } finally {
      closeSync(fd);
    }
    return readFileSync(file, "utf8");
  }

  function plant(path: string, text: string): void {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    writeFileSync(join(copy, path), `${text}\n`);
  }

  it("import rules catch every planted import by its own rule", async () => {
    for (const [path, text] of PLANTED) plant(path, text);
    plant("src/domain/planted-e.ts", 'import { x } from "./planted-d.ts";\nexport const y = x;');
    plant("src/adapters/tools/planted.ts", "export const createToolBox = 1;");
    const args = [
      DEPCRUISE,
      "--config",
      ".dependency-cruiser.cjs",
      "--output-type",
      "json",
      "src",
      "console",
    ];
    const stdout = await output(args);
    for (const [path] of PLANTED) rmSync(join(copy, path), { force: true });
    rmSync(join(copy, "src/domain/planted-e.ts"));
    const { summary } = JSON.parse(stdout) as {
      summary: { violations: { from: string; rule: { name: string } }[] };
    };
    const caught = new Set(summary.violations.map((violation) => `${violation.rule.name} ${violation.from}`));
    for (const [path, , rule] of PLANTED) expect(caught).toContain(`${rule} ${path}`);
  }, 120_000);

  it("the pure pass knows no clock, no process, no network and no Node", async () => {
    const pure = [
      "process.pid",
      'fetch("x")',
      "setTimeout(() => {}, 1)",
      'console.log("x")',
      "Buffer.from([])",
    ];
    plant("src/domain/impure.ts", pure.map((line, index) => `export const x${index} = ${line};`).join("\n"));
    const stdout = await output([TSC, "--noEmit", "-p", "tsconfig.pure.json"]);
    for (const [index] of pure.entries()) expect(stdout).toContain(`src/domain/impure.ts(${index + 1},`);
  }, 120_000);
});
