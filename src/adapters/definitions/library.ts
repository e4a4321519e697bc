import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Definitions, Diagnostic, Parsed } from "../../contracts/definitions.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Workflow } from "../../domain/workflow.ts";
import { DEFINITION_LIMITS } from "./limits.ts";

export interface LibraryEntry<T> {
  readonly value: T;
  readonly source: string;
  /** Relative to the folder it was found under, with `/`. */
  readonly file: string;
  readonly origin: "built-in" | "project";
}

/** All definitions that can be used, by name, and what is wrong with those that cannot. */
export interface Library {
  readonly workflows: readonly LibraryEntry<Workflow>[];
  readonly agents: readonly LibraryEntry<AgentSpec>[];
  /** Errors: each file with one is left out as a whole. A broken project file does not bring the built-in back. */
  readonly diagnostics: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}

export interface LibraryRequest {
  readonly definitions: Definitions;
  /** Absolute path of a project whose `.agent-runner/workflows` and `.agent-runner/agents` override by name. */
  readonly project?: string;
  /** Absolute path of the folder with `workflows` and `agents`; this package's own when absent. */
  readonly builtIn?: string;
}

/** The package's root, seen from `src/` and from `dist/`: both are three floors above this file. */
export function packageRoot(): string {
  return path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
}

export async function loadLibrary(request: LibraryRequest): Promise<Library> {
  const { definitions, project } = request;
  const notes: Notes = { diagnostics: [], warnings: [] };
  const places: Place[] = [{ root: request.builtIn ?? packageRoot(), within: "", origin: "built-in" }];
  if (project !== undefined) places.push({ root: project, within: ".agent-runner", origin: "project" });
  const workflows = await loadKind(places, notes, {
    folder: "workflows",
    extension: /\.ya?ml$/i,
    bytes: LIMITS.workflowBytes,
    parse: (source, file) => definitions.parseWorkflow(source, file),
  });
  const agents = await loadKind(places, notes, {
    folder: "agents",
    extension: /\.md$/i,
    bytes: DEFINITION_LIMITS.agentBytes,
    parse: (source, file) => definitions.parseAgent(source, file),
  });
  return { workflows, agents, ...notes };
}

interface Notes {
  readonly diagnostics: Diagnostic[];
  readonly warnings: Diagnostic[];
}

interface Place {
  readonly root: string;
  readonly within: string;
  readonly origin: "built-in" | "project";
}

interface Kind<T> {
  readonly folder: string;
  readonly extension: RegExp;
  readonly bytes: number;
  readonly parse: (source: string, file: string) => Parsed<T>;
}

async function loadKind<T extends { readonly name: string }>(
  places: readonly Place[],
  notes: Notes,
  kind: Kind<T>,
): Promise<readonly LibraryEntry<T>[]> {
  const byName = new Map<string, LibraryEntry<T>>();
  for (const place of places) {
    for (const file of await filesOf(place, notes, kind)) {
      const stem = path.posix.basename(file).replace(kind.extension, "");
      // What a project means to replace must not go on unnoticed as what it was.
      byName.delete(stem);
      const entry = await readEntry(file, { place, notes, kind });
      if (entry === null) continue;
      const other = byName.get(entry.value.name);
      if (other !== undefined && other.origin === entry.origin) {
        complain(
          notes,
          file,
          `\`${entry.value.name}\` is already defined in ${other.file}`,
          "a name of its own",
        );
        continue;
      }
      byName.set(entry.value.name, entry);
    }
  }
  return [...byName.values()].sort((a, b) => (a.value.name < b.value.name ? -1 : 1));
}

async function filesOf<T>(place: Place, notes: Notes, kind: Kind<T>): Promise<readonly string[]> {
  const folder = path.posix.join(place.within, kind.folder);
  let names: readonly string[];
  try {
    names = await readdir(path.join(place.root, folder));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (!missing || place.origin === "built-in")
      complain(notes, folder, `the folder cannot be read: ${text(error)}`);
    return [];
  }
  const files = names.filter((name) => kind.extension.test(name)).sort();
  if (files.length > DEFINITION_LIMITS.filesPerFolder) {
    const most = DEFINITION_LIMITS.filesPerFolder;
    complain(
      notes,
      folder,
      `the folder holds ${files.length} definitions; the first ${most} are read`,
      `at most ${most}`,
    );
  }
  return files.slice(0, DEFINITION_LIMITS.filesPerFolder).map((name) => path.posix.join(folder, name));
}

async function readEntry<T extends { readonly name: string }>(
  file: string,
  from: { readonly place: Place; readonly notes: Notes; readonly kind: Kind<T> },
): Promise<LibraryEntry<T> | null> {
  const { place, notes, kind } = from;
  const absolute = path.join(place.root, file);
  let source: string;
  try {
    const { size } = await stat(absolute);
    if (size > kind.bytes) {
      complain(notes, file, `the file has ${size} bytes`, `at most ${kind.bytes}`);
      return null;
    }
    source = await readFile(absolute, "utf8");
  } catch (error) {
    complain(notes, file, `the file cannot be read: ${text(error)}`);
    return null;
  }
  const parsed = kind.parse(source, file);
  if (!parsed.ok) {
    notes.diagnostics.push(...parsed.diagnostics);
    return null;
  }
  notes.warnings.push(...parsed.warnings);
  return { value: parsed.value, source, file, origin: place.origin };
}

function complain(notes: Notes, file: string, message: string, expected?: string): void {
  const wanted = expected === undefined ? {} : { expected };
  notes.diagnostics.push({ file, line: 1, column: 1, path: "", message, ...wanted });
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
