import { toolLaws } from "../../contracts/tool.suite.ts";
import { applyPatchTool } from "./apply-patch.ts";
import { editTool } from "./edit.ts";
import { finishTool } from "./finish.ts";
import { listTool } from "./list.ts";
import { readTool } from "./read.ts";
import { searchTool } from "./search.ts";
import { writeTool } from "./write.ts";

const patch = (...lines: string[]): { patch: string } => ({
  patch: ["*** Begin Patch", ...lines, "*** End Patch"].join("\n"),
});

toolLaws({
  tool: readTool,
  valid: { path: "a.txt" },
  big: { path: "big.txt" },
  withPath: [(path) => ({ path })],
});

toolLaws({ tool: listTool, valid: {}, big: { path: "many" }, withPath: [(path) => ({ path })] });

toolLaws({
  tool: searchTool,
  valid: { pattern: "t[wh]" },
  big: { pattern: "line", path: "big.txt" },
  withPath: [(path) => ({ pattern: "secret", path })],
});

toolLaws({
  tool: editTool,
  valid: { path: "a.txt", old_text: "two", new_text: "2" },
  withPath: [(path) => ({ path, old_text: "secret", new_text: "x" })],
});

toolLaws({
  tool: writeTool,
  valid: { path: "a.txt", content: "new\n" },
  readFirst: ["a.txt"],
  withPath: [(path) => ({ path, content: "planted" })],
});

toolLaws({
  tool: applyPatchTool,
  valid: patch("*** Update File: a.txt", "@@", " one", "-two", "+2", "*** Add File: new/c.txt", "+see"),
  withPath: [
    (path) => patch(`*** Add File: ${path}`, "+planted"),
    (path) => patch(`*** Update File: ${path}`, "-the-secret-of-another-folder", "+x"),
    (path) => patch(`*** Delete File: ${path}`),
    (path) => patch("*** Update File: a.txt", `*** Move to: ${path}`, "-one", "+1"),
  ],
});

toolLaws({ tool: finishTool, valid: { outcome: "done", summary: "All of it." } });
