const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** "90s", "1h30m", "250ms" → whole milliseconds; `null` when the text is not a duration. */
export function parseDuration(text: string): number | null {
  const written = text.trim();
  let total = 0;
  const rest = written.replaceAll(PART, (_part, amount: string, unit: keyof typeof UNIT_MS) => {
    total += Number(amount) * UNIT_MS[unit];
    return "";
  });
  return written.length > 0 && rest.length === 0 ? Math.round(total) : null;
}

/** Milliseconds → the shortest honest text: "12ms", "3.4s", "2m05s", "1h03m"; rounded to its last unit. */
export function formatDuration(ms: number): string {
  if (Math.round(ms) < 1_000) return `${Math.round(ms)}ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}s`;
  const minutes = Math.round(ms / 60_000);
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}
