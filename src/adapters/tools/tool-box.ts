import type { Tool, ToolBox } from "../../contracts/tool.ts";
import { applyPatchTool } from "./apply-patch.ts";
import { bashTool } from "./bash.ts";
import { editTool } from "./edit.ts";
import { finishTool } from "./finish.ts";
import { gitDiffTool, gitLogTool, gitStatusTool } from "./git.ts";
import { listTool } from "./list.ts";
import { type ModelFamily, modelFamily } from "./model-family.ts";
import { readTool } from "./read.ts";
import { searchTool } from "./search.ts";
import { writeTool } from "./write.ts";

/** In the order in which every model sees them: a stable beginning of the prompt is what caches live on. */
export const BUILT_IN_TOOLS: readonly Tool[] = [
  readTool,
  listTool,
  searchTool,
  editTool,
  applyPatchTool,
  writeTool,
  bashTool,
  gitStatusTool,
  gitDiffTool,
  gitLogTool,
  finishTool,
];

/** What "edit" means to a model: the form in which its family writes changes best. */
const EDIT_TOOLS: Readonly<Record<ModelFamily, readonly string[]>> = {
  claude: ["edit"],
  gemini: ["edit"],
  unknown: ["edit"],
  gpt: ["apply_patch"],
  // Weak models fail at exact matches; a small file they can write as a whole.
  small: ["edit", "write"],
};

/** The tools by name, and further ones, which may not take a name that is in use. */
export function createToolBox(options: { readonly extra?: readonly Tool[] } = {}): ToolBox {
  const tools = new Map<string, Tool>();
  for (const tool of [...BUILT_IN_TOOLS, ...(options.extra ?? [])]) {
    if (tools.has(tool.name)) throw new Error(`Two tools are called "${tool.name}"; rename one of them.`);
    tools.set(tool.name, tool);
  }
  return {
    names: [...tools.keys()],
    pick(names, model) {
      const wanted = new Set(
        names.flatMap((name) => (name === "edit" ? EDIT_TOOLS[modelFamily(model)] : [name])),
      );
      return {
        tools: [...tools.values()].filter((tool) => wanted.has(tool.name)),
        unknown: [...new Set(names)].filter((name) => !tools.has(name)),
      };
    },
  };
}
