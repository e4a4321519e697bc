import { formatDuration } from "../base/duration.ts";

/** C0 (but tab and line feed), DEL and C1: what would drive a terminal instead of being shown by it. */
const CONTROL = /[\p{Cc}--[\t\n]]/gv;
/** Marks that turn the direction of what follows: a text must not be shown as another than it is. */
const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/gu;

/** Words of models, repositories and people, safe to print. */
export function plain(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(CONTROL, "").replaceAll(DIRECTION, "");
}

/** The first line that says something, cut to a width. */
export function oneLine(text: string, width: number): string {
  const line = plain(text).trim().split("\n")[0]?.replaceAll("\t", " ").trim() ?? "";
  const chars = [...line];
  return chars.length <= width ? line : `${chars.slice(0, width - 1).join("")}…`;
}

export function indent(text: string, by = "  "): string {
  return text.replaceAll(/^(?=.)/gm, by);
}

/** A moment of the API, in this machine's time, to the second: `2026-01-31 12:00:00`. */
export function localTime(moment: string | null): string {
  if (moment === null) return "";
  const at = new Date(moment);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** From one moment to another or to now; empty before the first. */
export function span(from: string | null, to: string | null): string {
  if (from === null) return "";
  return formatDuration(Math.max(0, (to === null ? Date.now() : Date.parse(to)) - Date.parse(from)));
}

export function bytesText(bytes: number): string {
  const KILO = 1_024;
  if (bytes < KILO) return `${bytes} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes / KILO;
  let at = 0;
  while (value >= KILO && at < units.length - 1) {
    value /= KILO;
    at += 1;
  }
  return `${value.toFixed(1)} ${units[at]}`;
}

export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}
