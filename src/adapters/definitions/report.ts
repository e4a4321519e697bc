import { nearest } from "../../base/text.ts";
import type { Diagnostic } from "../../contracts/definitions.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import { dotted, type SourceText } from "./source.ts";

export type Path = readonly (string | number)[];

/** Where the values of a document are in its text. */
export interface Places {
  /** The deepest known part of the path counts: a missing value is reported at its parent. */
  offset(path: Path, where?: { readonly atKey?: boolean; readonly at?: number }): number;
  /** The text of a scalar as written, without quotes: `1.10` stays `1.10`. */
  written(path: Path): string | null;
}

export interface Problem {
  readonly path: Path;
  readonly message: string;
  readonly expected?: string | undefined;
  /** What was written, and what could have been meant by it. */
  readonly name?: string | undefined;
  readonly candidates?: readonly string[] | undefined;
  /** Points at the key instead of the value. */
  readonly atKey?: boolean;
  /** Points into the text of the value; 0-based in the value as YAML reads it. */
  readonly at?: number;
}

/** Collects what is wrong with one file. */
export interface Report {
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  error(problem: Problem): void;
  warn(problem: Problem): void;
  /** A problem of the text itself, before it has paths. */
  errorAt(offset: number, message: string, expected?: string): void;
}

export function newReport(file: string, source: SourceText, places: () => Places | null): Report {
  const errors: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  const add = (list: Diagnostic[], diagnostic: Diagnostic): void => {
    const same = (other: Diagnostic) =>
      other.path === diagnostic.path && other.message === diagnostic.message;
    if (list.length < DEFINITION_LIMITS.diagnostics && !list.some(same)) list.push(diagnostic);
  };
  const diagnostic = (problem: Problem): Diagnostic => {
    const { path, message, expected, name, candidates } = problem;
    const offset = places()?.offset(path, problem) ?? 0;
    const suggestion = name === undefined ? null : nearest(name, candidates ?? []);
    return {
      file,
      ...source.position(offset),
      path: dotted(path),
      message,
      ...(expected === undefined ? {} : { expected }),
      ...(suggestion === null ? {} : { suggestion }),
    };
  };
  return {
    errors,
    warnings,
    error: (problem) => add(errors, diagnostic(problem)),
    warn: (problem) => add(warnings, diagnostic(problem)),
    errorAt(offset, message, expected) {
      const wanted = expected === undefined ? {} : { expected };
      add(errors, { file, ...source.position(offset), path: "", message, ...wanted });
    },
  };
}
