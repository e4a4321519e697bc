import { z } from "zod";
import type { ToolContext, ToolOutput } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { decodeText, encodeText, type TextFile, withEol } from "./text-file.ts";
import { contentHash, type Place, placeOf, readInside, writeInside } from "./workspace-files.ts";

export const writeTool = defineTool({
  name: "write",
  description:
    "Write a whole text file: a new one (folders are made), or one that you have read and now replace completely. For small changes use an edit tool.",
  fields: {
    path: z.string().min(1).describe("File, relative to the workspace's root."),
    content: z.string().describe("The complete new content."),
  },
  effect: "idempotent",
  risk: "medium",
  readOnly: false,
  async run({ path, content }, context) {
    const place = await placeOf(context.root, path);
    const old = place.exists ? await readInside(context.root, place, LIMITS.fileReadBytes) : null;
    const oldText = old === null || old.size > LIMITS.fileReadBytes ? null : decodeText(old.bytes);
    const bytes = inStyleOf(oldText, content);
    if (bytes.length > LIMITS.fileReadBytes) {
      refuse(
        `\`content\` has ${bytes.length} bytes; at most ${LIMITS.fileReadBytes} can be written at once. Write less, or make the file by a command.`,
      );
    }
    const hash = contentHash(bytes);
    const oldHash = old === null ? null : contentHash(old.bytes);
    if (oldHash === hash)
      return done(context, place, hash, `${JSON.stringify(place.path)} has this content already.`, []);
    if (oldHash !== null) refuseUnseen(context, place, oldHash);
    await writeInside(context.root, place, { bytes });
    const what = old === null ? "Created" : "Replaced";
    const lines = content === "" ? 0 : content.replace(/\n$/, "").split("\n").length;
    return done(context, place, hash, `${what} ${JSON.stringify(place.path)} (${lines} lines).`, [
      place.realPath,
    ]);
  },
});

function refuseUnseen(context: ToolContext, place: Place, hash: string): void {
  const seen = context.seen.get(place.realPath);
  const path = JSON.stringify(place.path);
  if (seen === undefined)
    refuse(
      `${path} exists and you have not read it. Read it first, or use an edit tool to change a part of it.`,
    );
  if (seen !== hash) refuse(`${path} has changed since you read it. Read it again before you replace it.`);
}

/** A file keeps its line ends and its byte order mark, which the model has not seen. */
function inStyleOf(old: TextFile | null, content: string): Buffer {
  if (old === null) return encodeText(content, false);
  return encodeText(
    old.eol === "\r\n" ? withEol(content, "\r\n") : content,
    old.bom && !content.startsWith("\uFEFF"),
  );
}

function done(
  context: ToolContext,
  place: Place,
  hash: string,
  text: string,
  changed: readonly string[],
): ToolOutput {
  context.seen.set(place.realPath, hash);
  return said(text, { changed });
}
