import type { Diagnostic } from "../http/api.ts";
import type { Terminal } from "./terminal.ts";
import { plain } from "./text.ts";

const LONGEST_LINE = 200;

/** Each problem with its place, the line it is in and a mark below the column. */
export function diagnosticsText(
  terminal: Pick<Terminal, "mark">,
  diagnostics: readonly Diagnostic[],
  of: { readonly source: string; readonly level: "error" | "warning" },
): string {
  const lines = of.source.split(/\r?\n/);
  return diagnostics.map((one) => diagnosticText(terminal, one, { lines, level: of.level })).join("\n\n");
}

function diagnosticText(
  terminal: Pick<Terminal, "mark">,
  one: Diagnostic,
  of: { readonly lines: readonly string[]; readonly level: "error" | "warning" },
): string {
  const level = terminal.mark(of.level === "error" ? "red" : "yellow", of.level);
  const path = one.path === "" ? "" : `${one.path}: `;
  const expected = one.expected === undefined ? "" : `, expected ${one.expected}`;
  const meant = one.suggestion === undefined ? "" : ` (did you mean ${one.suggestion}?)`;
  const head = `${terminal.mark("bold", `${one.file}:${one.line}:${one.column}`)} ${level} ${plain(path + one.message + expected + meant)}`;
  const line = of.lines[one.line - 1];
  if (line === undefined || one.column > LONGEST_LINE) return head;
  const shown = plain(line).slice(0, LONGEST_LINE);
  const margin = String(one.line).padStart(5);
  // A tab stays a tab, so that the mark stands where the eye looks.
  const before = shown.slice(0, one.column - 1).replaceAll(/[^\t]/g, " ");
  return `${head}\n${terminal.mark("dim", `${margin} |`)} ${shown}\n${terminal.mark("dim", "      |")} ${before}${terminal.mark("red", "^")}`;
}
