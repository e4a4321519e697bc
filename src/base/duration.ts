const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "90s", "1h30m", "250ms" → milliseconds; `null` when the text is not a duration. */
export function parseDuration(text: string): number | null {
  const parts = text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy);
  let total = 0;
  let length = 0;
  for (const part of parts) {
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? 0);
    length += part[0].length;
  }
  return length > 0 && length === text.trim().length ? total : null;
}

/** Milliseconds → the shortest honest text: "12ms", "3.4s", "2m05s", "1h03m". */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}s`;
  return `${Math.floor(seconds / 3_600)}h${String(Math.floor((seconds % 3_600) / 60)).padStart(2, "0")}m`;
}
