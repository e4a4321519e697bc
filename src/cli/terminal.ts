import { styleText } from "node:util";
import { ERRORS, type Failure } from "../domain/errors.ts";
import { plain } from "./text.ts";

type Style = Parameters<typeof styleText>[0];

/** Where a command speaks: results on stdout, everything else on stderr, so that a pipe gets results only. */
export interface Terminal {
  readonly json: boolean;
  /** Whether a person is there to be asked. */
  readonly interactive: boolean;
  /** Whether progress can be redrawn in place. */
  readonly live: boolean;
  /** Characters of a line of stderr. */
  readonly width: number;
  /** What was asked for: one JSON document with `--json`. */
  result(value: unknown, text: () => string): void;
  /** A part of what was asked for, as it comes: one line of JSON with `--json`. */
  event(value: unknown, text: () => string): void;
  /** For the person who watches; silent with `--json`. */
  say(text: string): void;
  /** Raw, to stderr: a line that is redrawn. */
  draw(text: string): void;
  /** For what goes to stdout. */
  style(style: Style, text: string): string;
  /** For what goes to stderr. */
  mark(style: Style, text: string): string;
}

const WIDTH = 120;

export function createTerminal(json: boolean): Terminal {
  const live = process.stderr.isTTY === true && !json;
  return {
    json,
    interactive: live && process.stdin.isTTY === true,
    live,
    width: process.stderr.columns || WIDTH,
    result: (value, text) => out(json ? JSON.stringify(value, null, 2) : text()),
    event: (value, text) => out(json ? JSON.stringify(value) : text()),
    say: (text) => {
      if (!json) process.stderr.write(`${text}\n`);
    },
    draw: (text) => {
      if (live) process.stderr.write(text);
    },
    style: (how, text) => styleText(how, text, { stream: process.stdout }),
    mark: (how, text) => styleText(how, text, { stream: process.stderr }),
  };
}

function out(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** A failure as a person reads it, or as one JSON object with `--json`; for stderr. */
export function explainFailure(terminal: Pick<Terminal, "json" | "mark">, failure: Failure): string {
  const remedy = remedyOf(failure.code);
  const { code, message, details } = failure;
  if (terminal.json) {
    const shown = details === undefined ? {} : { details };
    return JSON.stringify({ error: { code, message, remedy, ...shown } });
  }
  const hint = remedy === "" ? code : `${code}: ${remedy}`;
  return `${terminal.mark("red", "error")} ${plain(message)}\n${terminal.mark("dim", hint)}`;
}

export function remedyOf(code: string): string {
  return (ERRORS as Readonly<Record<string, { readonly remedy: string } | undefined>>)[code]?.remedy ?? "";
}

/** Columns, aligned; the last one may be of any length. Cells must be plain: styles come afterwards, by row. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}
