import { styleText } from "node:util";
import { ERRORS, type Failure } from "../domain/errors.ts";

type Style = Parameters<typeof styleText>[0];

/** Where a command speaks: results on stdout, everything else on stderr, so that a pipe gets results only. */
export interface Terminal {
  readonly json: boolean;
  readonly interactive: boolean;
  result(value: unknown, text: () => string): void;
  /** One line of JSON per call with `--json`. */
  event(value: unknown, text: () => string): void;
  say(text: string): void;
  style(style: Style, text: string): string;
}

export function createTerminal(json: boolean): Terminal {
  const style = (how: Style, text: string) => styleText(how, text, { stream: process.stdout });
  return {
    json,
    interactive: process.stdout.isTTY === true && !json,
    result: (value, text) => void process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text()}\n`),
    event: (value, text) => void process.stdout.write(`${json ? JSON.stringify(value) : text()}\n`),
    say: (text) => void process.stderr.write(`${text}\n`),
    style,
  };
}

/** A failure as a person reads it, or as one JSON object with `--json`. */
export function explainFailure(terminal: Pick<Terminal, "json" | "style">, failure: Failure): string {
  const remedy =
    (ERRORS as Readonly<Record<string, { readonly remedy: string } | undefined>>)[failure.code]?.remedy ?? "";
  const { code, message, details } = failure;
  if (terminal.json)
    return JSON.stringify({
      error: { code, message, remedy, ...(details === undefined ? {} : { details }) },
    });
  return `${terminal.style("red", "error")} ${message}\n${terminal.style("dim", `${code}: ${remedy}`)}`;
}

/** Columns, aligned; the last one may be of any length. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join("  ");
  return rows.map(line).join("\n");
}
