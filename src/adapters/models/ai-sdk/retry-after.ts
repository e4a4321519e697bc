import { parseDuration } from "../../../base/duration.ts";

const MAX_RETRY_AFTER_MS = 86_400_000;

/**
 * How long the provider wants to be left alone, in ms: `retry-after-ms`, `Retry-After` in seconds or as a date, or
 * Google's `retryDelay` ("13s"). A date is read against the provider's own clock when it sent one, since ours may differ.
 */
export function retryAfterMs(
  headers: Readonly<Record<string, string>>,
  retryDelay: string | null,
  now: number,
): number | null {
  const wanted =
    inUnits(headers["retry-after-ms"], 1) ??
    inUnits(headers["retry-after"], 1_000) ??
    untilDate(headers["retry-after"], headers.date, now) ??
    (retryDelay === null ? null : parseDuration(retryDelay));
  return wanted === null ? null : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, Math.ceil(wanted)));
}

function inUnits(text: string | undefined, unitMs: number): number | null {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) * unitMs : null;
}

function untilDate(text: string | undefined, theirNow: string | undefined, ourNow: number): number | null {
  const then = Date.parse(text ?? "");
  // A parser of dates makes a year out of any number.
  if (Number.isNaN(then) || !/gmt/i.test(text ?? "")) return null;
  const theirs = Date.parse(theirNow ?? "");
  return then - (Number.isNaN(theirs) ? ourNow : theirs);
}
