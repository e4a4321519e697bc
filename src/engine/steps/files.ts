import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { confined } from "./confined.ts";
import { defineAction } from "./define-action.ts";
import { sha256 } from "./digest.ts";
import { onceOf, unwrap } from "./effects.ts";
import { workspaceSchema } from "./shapes.ts";

const MAX_FILES = 500;

const input = z.strictObject({
  workspace: workspaceSchema,
  write: z.array(z.strictObject({ path: z.string().min(1), content: z.string() })).max(MAX_FILES),
});
const output = z.object({ written: z.array(z.string()) });

/** Writes files of a workspace. All paths are checked before the first is written. */
export function filesAction(): Action {
  return defineAction({
    name: "files",
    description: "Writes files into a workspace.",
    input,
    output,
    async perform(given, context) {
      const written = await onceOf<string[]>(context, "files", {
        effect: "idempotent",
        request: given.write.map((file) => ({ path: file.path, sha256: sha256(file.content) })),
        label: `write ${given.write.length} files`,
        perform: async () => {
          const targets: { path: string; content: string }[] = [];
          for (const file of given.write) {
            const path = unwrap(await confined(given.workspace.root, file.path));
            targets.push({ path, content: file.content });
          }
          for (const target of targets) {
            await mkdir(dirname(target.path), { recursive: true });
            await writeFile(target.path, target.content);
          }
          return given.write.map((file) => file.path);
        },
      });
      return { written };
    },
  });
}
