import { parentPort, workerData } from "node:worker_threads";

export interface ScanSettings {
  readonly source: string;
  readonly flags: string;
  readonly maxHits: number;
  /** What of a line is looked at. */
  readonly maxLineChars: number;
}

export interface ScanHit {
  /** Counted from 0. */
  readonly line: number;
  readonly column: number;
}

// In a thread of its own, because a regular expression cannot be interrupted, but a thread can be ended.
const { source, flags, maxHits, maxLineChars } = workerData as ScanSettings;
const pattern = new RegExp(source, flags);

parentPort?.on("message", (text: string) => {
  const hits: ScanHit[] = [];
  let line = 0;
  for (let from = 0; from <= text.length && hits.length < maxHits; line += 1) {
    const newline = text.indexOf("\n", from);
    const end = newline < 0 ? text.length : newline;
    if (newline < 0 && from === text.length) break;
    const found = pattern.exec(text.slice(from, Math.min(end, from + maxLineChars)));
    if (found !== null) hits.push({ line, column: found.index });
    from = end + 1;
  }
  parentPort?.postMessage(hits);
});
