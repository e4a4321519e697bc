import { nearest } from "../../base/text.ts";
import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { refuse } from "./define-tool.ts";
import { decodeText, type TextFile } from "./text-file.ts";
import { contentHash, listInside, type Place, placeOf, readInside } from "./workspace-files.ts";

const LARGEST_MIB = Math.floor(LIMITS.fileReadBytes / 1_048_576);

export interface OpenedText {
  readonly place: Place;
  readonly file: TextFile;
  readonly hash: string;
  readonly size: number;
}

/** A text file for reading or changing; refused with words for the model when it is none. */
export async function openText(context: ToolContext, path: string): Promise<OpenedText> {
  const place = await placeOf(context.root, path);
  if (!place.exists)
    refuse(`${JSON.stringify(place.path)} does not exist.${await suggestion(context, place)}`);
  const { bytes, size } = await readInside(context.root, place, LIMITS.fileReadBytes);
  if (size > LIMITS.fileReadBytes) {
    refuse(
      `${JSON.stringify(place.path)} has ${size} bytes; at most ${LARGEST_MIB} MiB can be opened. Use search to find the lines you need.`,
    );
  }
  const file = decodeText(bytes);
  if (file === null) refuse(`${JSON.stringify(place.path)} is binary or not UTF-8 text (${size} bytes).`);
  return { place, file, hash: contentHash(bytes), size };
}

/** Refuses to change what is not any more what the agent has seen. */
export function refuseStale(context: ToolContext, opened: OpenedText): void {
  const seen = context.seen.get(opened.place.realPath);
  if (seen !== undefined && seen !== opened.hash) {
    refuse(
      `${JSON.stringify(opened.place.path)} has changed since you read it. Read it again, then repeat the change on what is there now.`,
    );
  }
}

async function suggestion(context: ToolContext, place: Place): Promise<string> {
  const names = place.path.split("/");
  const last = names.pop() ?? "";
  const folder = await placeOf(context.root, names.join("/"));
  if (!folder.exists)
    return ` Neither does the folder ${JSON.stringify(folder.path)}. Use list to see what there is.`;
  const entries = await listInside(context.root, folder).catch(() => []);
  const meant = nearest(
    last,
    entries.map((entry) => entry.name),
  );
  return meant === null
    ? " Use list to see what there is."
    : ` Did you mean ${JSON.stringify([...names, meant].join("/"))}?`;
}
