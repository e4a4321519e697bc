import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";
import type { Sandbox } from "../../contracts/sandbox.ts";
import type { ToolContext } from "../../contracts/tool.ts";
import { filesToSearch, type SearchLine, type SearchRequest, type SearchResult } from "./search-files.ts";

const PROBE_TIMEOUT_MS = 5_000;
const BATCH_TIMEOUT_MS = 30_000;
const OUTPUT_BYTES = 4 * 1_048_576;
/** Windows takes the least on one command line: 32,767 characters. */
const BATCH_CHARS = 24_000;
const OLDEST_MAJOR = 13;

const known = new WeakMap<Sandbox, Promise<boolean>>();

/** Whether a recent enough ripgrep is on the sandbox's PATH; asked once per sandbox. */
export function hasRipgrep(context: ToolContext): Promise<boolean> {
  const { sandbox } = context;
  const before = known.get(sandbox);
  if (before !== undefined) return before;
  const answer = probe(context).catch(() => false);
  known.set(sandbox, answer);
  return answer;
}

/**
 * Our own walk names the files, so that the same ones are searched with and without ripgrep.
 * `null` when ripgrep does not take the pattern (it knows no look-around); our own scanner may.
 */
export async function ripgrep(context: ToolContext, request: SearchRequest): Promise<SearchResult | null> {
  const lines: SearchLine[] = [];
  const notes: string[] = [];
  let hits = 0;
  for await (const batch of batchesOf(context, request)) {
    if (batch === null || hits > request.maxHits) {
      if (batch === null)
        notes.push("the tree is too large and was not searched to its end; narrow `path` or `glob`");
      break;
    }
    const found = await searchBatch(context, request, batch);
    if (found === null) return null;
    lines.push(...found.lines);
    hits += found.hits;
    if (found.isCut) notes.push("ripgrep printed too much; narrow `pattern`, `path` or `glob`");
  }
  if (hits <= request.maxHits) return { lines, hits, notes };
  const last = lines.filter((line) => line.column !== null)[request.maxHits];
  notes.push(`stopped after ${request.maxHits} hits; narrow \`pattern\`, \`path\` or \`glob\``);
  return {
    lines: lines.slice(0, last === undefined ? undefined : lines.indexOf(last)),
    hits: request.maxHits,
    notes,
  };
}

async function probe(context: ToolContext): Promise<boolean> {
  const run = { program: "rg", args: ["--version"] };
  const answer = await context.sandbox.run(
    { run, cwd: context.root, timeoutMs: PROBE_TIMEOUT_MS, maxOutputBytes: 4_096 },
    { signal: new AbortController().signal },
  );
  const version = answer.ok ? /^ripgrep (\d+)\./.exec(answer.result.stdout)?.[1] : undefined;
  return version !== undefined && Number(version) >= OLDEST_MAJOR;
}

async function* batchesOf(context: ToolContext, request: SearchRequest): AsyncGenerator<string[] | null> {
  let batch: string[] = [];
  let chars = 0;
  for await (const path of filesToSearch(context, request)) {
    if (path === null || chars + path.length >= BATCH_CHARS) {
      if (batch.length > 0) yield batch;
      [batch, chars] = [[], 0];
    }
    if (path === null) yield null;
    else batch.push(path);
    chars += (path?.length ?? 0) + 3;
  }
  if (batch.length > 0) yield batch;
}

interface Found {
  readonly lines: readonly SearchLine[];
  readonly hits: number;
  readonly isCut: boolean;
}

async function searchBatch(
  context: ToolContext,
  request: SearchRequest,
  batch: readonly string[],
): Promise<Found | null> {
  const args = [
    ...["--json", "--no-config", "--crlf", "--no-messages", "--max-count", String(request.maxHits + 1)],
    ...(request.pattern.flags.includes("i") ? ["--ignore-case"] : []),
    ...(request.context > 0 ? ["--context", String(request.context)] : []),
    ...["--regexp", request.pattern.source, "--", ...batch],
  ];
  const answer = await context.sandbox.run(
    {
      run: { program: "rg", args },
      cwd: context.root,
      timeoutMs: BATCH_TIMEOUT_MS,
      maxOutputBytes: OUTPUT_BYTES,
    },
    { signal: context.signal },
  );
  context.signal.throwIfAborted();
  // 0: hits, 1: none, 2: an error, which is either the pattern or a file that vanished.
  if (!answer.ok || answer.result.exitCode === null || answer.result.exitCode > 1) return null;
  const reports = answer.result.stdout.split("\n").map(parsed).filter(isJsonObject);
  const binary = new Set(reports.flatMap(binaryFileOf));
  const lines = reports.flatMap(lineOf).filter((line) => !binary.has(line.path));
  const order = new Map(batch.map((path, i) => [path, i]));
  lines.sort((a, b) => (order.get(a.path) ?? 0) - (order.get(b.path) ?? 0) || a.line - b.line);
  const hits = lines.filter((line) => line.column !== null).length;
  return { lines, hits, isCut: answer.result.elidedBytes > 0 };
}

/** A line that is shown; a report of something else (a file, a summary) gives none. */
function lineOf({ type, data }: JsonObject): SearchLine[] {
  if (!isJsonObject(data) || typeof data.line_number !== "number") return [];
  const [path, text] = [textOf(data.path), textOf(data.lines)];
  if (path === null || text === null) return [];
  const first = Array.isArray(data.submatches) ? (data.submatches[0] as Json) : null;
  const start = isJsonObject(first) && typeof first.start === "number" ? first.start : 0;
  const column = type === "match" ? Buffer.from(text).subarray(0, start).toString("utf8").length : null;
  return [{ path, line: data.line_number, text: text.replace(/\r?\n$/, ""), column }];
}

/** Files that are named to ripgrep are searched even if they are binary; it tells at their end. */
function binaryFileOf({ type, data }: JsonObject): string[] {
  if (type !== "end" || !isJsonObject(data) || typeof data.binary_offset !== "number") return [];
  const path = textOf(data.path);
  return path === null ? [] : [path];
}

function textOf(value: Json | undefined): string | null {
  return isJsonObject(value) && typeof value.text === "string" ? value.text : null;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
