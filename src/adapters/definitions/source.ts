import type { Diagnostic } from "../../contracts/definitions.ts";

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number;
}

/** Offsets of a text as lines and columns. */
export interface SourceText {
  readonly text: string;
  position(offset: number): Position;
}

export function sourceText(text: string): SourceText {
  const starts = [text.startsWith("\uFEFF") ? 1 : 0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return {
    text,
    position(offset) {
      let low = 0;
      let high = starts.length - 1;
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if ((starts[middle] as number) <= offset) low = middle;
        else high = middle - 1;
      }
      return { line: low + 1, column: Math.max(0, offset - (starts[low] as number)) + 1 };
    },
  };
}

/** Where a value is inside its document, for people: `steps[2].with["a b"]`. */
export function dotted(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (!/^[\w-]+$/.test(String(key))) text += `[${JSON.stringify(String(key))}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text;
}

/** One line of text for a problem: place, what is wrong, what was expected, the nearest name. */
export function diagnosticLine(diagnostic: Diagnostic): string {
  const { file, line, column, path, message, expected, suggestion } = diagnostic;
  const where = path === "" ? "" : `${path}: `;
  const wanted = expected === undefined ? "" : `; expected ${expected}`;
  const meant = suggestion === undefined ? "" : `; did you mean \`${suggestion}\`?`;
  return `${file}:${line}:${column}: ${where}${message}${wanted}${meant}`;
}

const SHOWN_BEFORE = 60;
const SHOWN_AFTER = 60;

/** Problems with the line they are in and a caret under the place, for a terminal. Ends in a newline unless empty. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], source: string): string {
  const lines = source.replace(/^\uFEFF/, "").split(/\r?\n/);
  return diagnostics.map((diagnostic) => `${excerpt(diagnostic, lines).join("\n")}\n`).join("\n");
}

function excerpt(diagnostic: Diagnostic, lines: readonly string[]): readonly string[] {
  const head = diagnosticLine(diagnostic);
  const whole = lines[diagnostic.line - 1];
  if (whole === undefined || whole.trim() === "") return [head];
  const from = Math.max(0, diagnostic.column - 1 - SHOWN_BEFORE);
  const line = whole.slice(from, diagnostic.column - 1 + SHOWN_AFTER);
  const number = String(diagnostic.line);
  const before = line.slice(0, diagnostic.column - 1 - from).replaceAll(/[^\t]/g, " ");
  return [head, `  ${number} | ${line}`, `  ${" ".repeat(number.length)} | ${before}^`];
}
