import type { ToolContext } from "../../contracts/tool.ts";
import type { GlobMatcher } from "./glob.ts";
import { walk } from "./walk.ts";
import type { Place } from "./workspace-files.ts";

export interface SearchRequest {
  readonly start: Place;
  readonly pattern: RegExp;
  readonly glob: GlobMatcher | null;
  /** Lines to show before and after each hit. */
  readonly context: number;
  readonly maxHits: number;
}

export interface SearchLine {
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  readonly text: string;
  /** Where in the text the hit is; `null` for a line that is only shown around one. */
  readonly column: number | null;
}

export interface SearchResult {
  readonly lines: readonly SearchLine[];
  readonly hits: number;
  /** What a reader must know to not take the hits for all there is. */
  readonly notes: readonly string[];
}

/** The files to search, in the order of their paths; `null` for "there is more that was not walked". */
export async function* filesToSearch(
  context: ToolContext,
  { start, glob }: Pick<SearchRequest, "start" | "glob">,
): AsyncGenerator<string | null> {
  if (!start.isFolder) {
    yield start.realPath;
    return;
  }
  for await (const entry of walk(context, start)) {
    if (entry.kind === "limit") yield null;
    else if (entry.kind === "file" && (glob === null || glob(entry.path))) yield entry.path;
  }
}
