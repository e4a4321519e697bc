import { describe, expect, it } from "vitest";
import { finishTool } from "./finish.ts";
import { modelFamily } from "./model-family.ts";
import { createToolBox } from "./tool-box.ts";

const box = createToolBox();
const picked = (names: readonly string[], model: string): readonly string[] =>
  box.pick(names, model).tools.map((tool) => tool.name);

describe("the tool box", () => {
  it.each([
    ["anthropic/claude-opus-4-6", ["edit"]],
    ["openrouter/anthropic/claude-sonnet-4.5", ["edit"]],
    ["bedrock/eu.anthropic.claude-opus-4-6-v1:0", ["edit"]],
    ["google/gemini-3.1-pro", ["edit"]],
    ["openai/gpt-5.5", ["apply_patch"]],
    ["openrouter/openai/gpt-5-codex", ["apply_patch"]],
    ["openai/o3", ["apply_patch"]],
    ["azure/o4-mini", ["apply_patch"]],
    ["ollama/qwen3-coder:30b", ["edit", "write"]],
    ["ollama/gpt-oss:20b", ["edit", "write"]],
    ["lmstudio/anything", ["edit", "write"]],
    ["groq/llama-4-scout", ["edit", "write"]],
    ["openrouter/mistralai/devstral", ["edit", "write"]],
    ["somebody/foo3-large", ["edit"]],
    ["scripted/demo", ["edit"]],
  ])("gives %s its way of editing", (model, expected) => {
    expect(picked(["edit"], model)).toEqual(expected);
  });

  it("gives what is named, in one order for all", () => {
    expect(picked(["finish", "bash", "read", "edit", "write"], "ollama/qwen3")).toEqual([
      "read",
      "edit",
      "write",
      "bash",
      "finish",
    ]);
    expect(picked(["apply_patch", "read"], "anthropic/claude-opus-4-6")).toEqual(["read", "apply_patch"]);
    expect(picked([], "openai/gpt-5")).toEqual([]);
  });

  it("reports names it does not know, once", () => {
    const { tools, unknown } = box.pick(["read", "web_get", "web_get", "Edit"], "openai/gpt-5");
    expect(tools.map((tool) => tool.name)).toEqual(["read"]);
    expect(unknown).toEqual(["web_get", "Edit"]);
  });

  it("takes further tools, but no second one of a name", () => {
    const extra = { ...finishTool, name: "ask_owner" };
    expect(createToolBox({ extra: [extra] }).pick(["ask_owner"], "x/y").tools).toEqual([extra]);
    expect(() => createToolBox({ extra: [finishTool] })).toThrow('Two tools are called "finish"');
  });

  it("tells families by whole words", () => {
    expect(modelFamily("x/o1cean")).toBe("unknown");
    expect(modelFamily("x/foo3")).toBe("unknown");
    expect(modelFamily("x/egpt-1")).toBe("unknown");
  });
});

describe("finish", () => {
  const context = null as never;
  it("hands the end over as data", async () => {
    const given = { outcome: "nothing_to_do", summary: "It works already.", reason: "The test passes." };
    const output = await finishTool.execute(given, {
      signal: new AbortController().signal,
    } as typeof context);
    expect(output).toEqual({ isError: false, text: "Noted: nothing_to_do.", data: given });
  });
  it("wants a reason for not doing it", async () => {
    const output = await finishTool.execute({ outcome: "cannot", summary: "No." }, {
      signal: new AbortController().signal,
    } as typeof context);
    expect(output).toMatchObject({ isError: true, data: { code: "tool_invalid_input" } });
    expect(output.text).toContain("`reason` is missing");
  });
  it("knows three outcomes", async () => {
    const output = await finishTool.execute({ outcome: "maybe", summary: "x" }, {
      signal: new AbortController().signal,
    } as typeof context);
    expect(output.text).toContain('`outcome` is "maybe"');
    expect(output.text).toContain('"done"|"nothing_to_do"|"cannot"');
  });
});
