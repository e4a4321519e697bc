import { Worker } from "node:worker_threads";
import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { filesToSearch, type SearchLine, type SearchRequest, type SearchResult } from "./search-files.ts";
import type { ScanHit, ScanSettings } from "./search-worker.ts";
import { decodeText, linesOf } from "./text-file.ts";
import { placeOf, readInside } from "./workspace-files.ts";

const MAX_FILE_MS = 2_000;
const MAX_SLOW_FILES = 3;
const MAX_SEARCH_MS = 30_000;
const MAX_LINE_CHARS = 10_000;

/** Looks through the files itself, line by line, where no ripgrep is installed or it does not take the pattern. */
export async function scan(context: ToolContext, request: SearchRequest): Promise<SearchResult> {
  const scanner = new Scanner(request);
  const progress = { lines: [] as SearchLine[], hits: 0, large: 0, slow: [] as string[] };
  const until = performance.now() + MAX_SEARCH_MS;
  let stopped: string | null = null;
  try {
    for await (const path of filesToSearch(context, request)) {
      if (path === null) stopped = "the tree is too large and was not searched to its end";
      else if (performance.now() >= until) stopped = `stopped after ${MAX_SEARCH_MS / 1_000} s`;
      else if (progress.slow.length >= MAX_SLOW_FILES)
        stopped = "the pattern is too slow; write a simpler one";
      if (path === null || stopped !== null) break;
      const text = await textOf(context, path);
      if (text === null) continue;
      if (text === "large") {
        progress.large += 1;
        continue;
      }
      const found = await scanner.scan(text.content, context.signal);
      if (found === "slow") progress.slow.push(path);
      else if (addHits(progress, { path, text: text.content, found, request })) {
        stopped = `stopped after ${request.maxHits} hits`;
        break;
      }
    }
  } finally {
    await scanner.close();
  }
  const notes: string[] = [];
  if (progress.slow.length > 0)
    notes.push(`left out, because the pattern took too long: ${progress.slow.join(", ")}`);
  if (progress.large > 0)
    notes.push(`${progress.large} files above ${LIMITS.fileReadBytes} bytes were not searched`);
  if (stopped !== null) notes.push(`${stopped}; narrow \`pattern\`, \`path\` or \`glob\``);
  return { lines: progress.lines, hits: progress.hits, notes };
}

/** `null`: no text, or gone meanwhile. */
async function textOf(context: ToolContext, path: string): Promise<{ content: string } | "large" | null> {
  const place = await placeOf(context.root, path);
  const opened = await readInside(context.root, place, LIMITS.fileReadBytes).catch(() => null);
  if (opened === null) return null;
  if (opened.size > LIMITS.fileReadBytes) return "large";
  const text = decodeText(opened.bytes);
  return text === null ? null : { content: text.text };
}

/** @returns whether there are more hits than may be shown. */
function addHits(
  progress: { lines: SearchLine[]; hits: number },
  file: {
    readonly path: string;
    readonly text: string;
    readonly found: readonly ScanHit[];
    readonly request: SearchRequest;
  },
): boolean {
  if (file.found.length === 0) return false;
  const { context, maxHits } = file.request;
  const texts = linesOf(file.text);
  const wanted = new Map<number, number | null>();
  const room = maxHits - progress.hits;
  for (const { line, column } of file.found.slice(0, room)) {
    for (let near = line - context; near <= line + context; near += 1) {
      if (near >= 0 && near < texts.length && !wanted.has(near)) wanted.set(near, null);
    }
    wanted.set(line, column);
    progress.hits += 1;
  }
  for (const [line, column] of [...wanted].sort(([a], [b]) => a - b)) {
    progress.lines.push({ path: file.path, line: line + 1, text: texts[line] ?? "", column });
  }
  return file.found.length > room;
}

/** A regular expression in a thread of its own, which is ended and made anew when one file takes too long. */
class Scanner {
  readonly #settings: ScanSettings;
  #worker: Worker | null = null;

  constructor({ pattern, maxHits }: SearchRequest) {
    const { source, flags } = pattern;
    // One more than is shown, so that "stopped after" is only said when there is more.
    this.#settings = { source, flags, maxHits: maxHits + 1, maxLineChars: MAX_LINE_CHARS };
  }

  async scan(text: string, signal: AbortSignal): Promise<readonly ScanHit[] | "slow"> {
    signal.throwIfAborted();
    this.#worker ??= startWorker(this.#settings);
    const worker = this.#worker;
    let timer: NodeJS.Timeout | undefined;
    const done = new AbortController();
    const answer = new Promise<readonly ScanHit[] | "slow">((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
      signal.addEventListener("abort", () => reject(signal.reason), { signal: done.signal });
      timer = setTimeout(() => resolve("slow"), MAX_FILE_MS);
      done.signal.addEventListener("abort", () => worker.off("message", resolve).off("error", reject));
    });
    worker.postMessage(text);
    try {
      const result = await answer;
      if (result === "slow") await this.close();
      return result;
    } finally {
      clearTimeout(timer);
      done.abort();
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }
}

function startWorker(workerData: ScanSettings): Worker {
  // The published package has the same file as JavaScript.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new Worker(new URL(`./search-worker.${extension}`, import.meta.url), { workerData });
}
