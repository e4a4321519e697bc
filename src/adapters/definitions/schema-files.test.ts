import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { packageRoot } from "./library.ts";
import { schemaFiles } from "./schema-files.ts";

const files = schemaFiles(builtInActions().list(), TOOL_NAMES);
const schemaOf = (file: string) => JSON.parse(files[file] ?? "") as object;
const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true });
const workflow = ajv.compile(schemaOf("schemas/workflow.schema.json"));
const agent = ajv.compile(schemaOf("schemas/agent.schema.json"));
const HEAD = 'name: demo\nversion: "1"\ndescription: d\n';

describe("the schemas for editors", () => {
  it("accept everything that is shipped", async () => {
    for (const name of await readdir(path.join(packageRoot(), "workflows"))) {
      const source = await readFile(path.join(packageRoot(), "workflows", name), "utf8");
      expect(workflow(parse(source)), `${name}: ${ajv.errorsText(workflow.errors)}`).toBe(true);
    }
    for (const name of await readdir(path.join(packageRoot(), "agents"))) {
      const source = await readFile(path.join(packageRoot(), "agents", name), "utf8");
      expect(agent(parse(source.split("---")[1] ?? "")), `${name}: ${ajv.errorsText(agent.errors)}`).toBe(
        true,
      );
    }
  });

  it.each([
    ["an unknown action", "steps: [{ id: a, uses: agnet }]"],
    ["an unknown field", "steps: [{ id: a, uses: noop, tiemout: 5m }]"],
    ["a missing argument", "steps: [{ id: a, uses: model, with: { system: s } }]"],
    ["no arguments", "steps: [{ id: a, uses: model }]"],
    ["an unknown argument", "steps: [{ id: a, uses: model, with: { prompt: p, x: 1 } }]"],
    ["an argument of the wrong kind", "steps: [{ id: a, uses: approval, with: { title: t, risk: huge } }]"],
    ["a bad duration", "steps: [{ id: a, uses: noop, timeout: soon }]"],
    ["no steps", "steps: []"],
  ])("refuse %s", (_, steps) => {
    expect(workflow(parse(`${HEAD}${steps}\n`))).toBe(false);
  });

  it("accept expressions where a value is wanted", () => {
    const text = `${HEAD}steps: [{ id: a, uses: approval, with: { title: t, risk: "\${{ inputs.r }}" } }]\n`;
    expect(workflow(parse(text)), ajv.errorsText(workflow.errors)).toBe(true);
  });

  it("know the tools", () => {
    expect(agent({ name: "a", description: "d", tools: ["read"] })).toBe(true);
    expect(agent({ name: "a", description: "d", tools: ["raed"] })).toBe(false);
  });
});
