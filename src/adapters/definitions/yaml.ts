import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Scalar,
} from "yaml";
import type { Json } from "../../base/json.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { Path, Places, Report } from "./report.ts";

interface Place {
  readonly start: number;
  readonly keyStart: number | null;
  readonly scalar: Scalar | null;
  readonly children: Map<string | number, Place>;
}

export interface YamlDocument {
  readonly value: Json;
  readonly places: Places;
}

/** Repeated keys are found by us: the library compares each with each. */
const YAML_OPTIONS = {
  version: "1.2",
  schema: "core",
  prettyErrors: false,
  // Not "silent": that would also be silent about several documents.
  logLevel: "error",
  uniqueKeys: false,
} as const;

/**
 * YAML 1.2 → JSON with the place of everything. `null` after an error was reported: malformed text, several
 * documents, repeated keys, tags, numbers that JSON does not have, aliases that unfold too far.
 */
export function readYaml(text: string, base: number, report: Report): YamlDocument | null {
  let document: Document.Parsed;
  try {
    document = parseDocument(text, YAML_OPTIONS);
  } catch (error) {
    report.errorAt(
      base,
      `the YAML cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return null;
  }
  for (const problem of [...document.errors, ...document.warnings]) {
    report.errorAt(base + problem.pos[0], yamlMessage(problem.code, problem.message));
  }
  if (report.errors.length > 0) return null;
  const reader = { document, base, report, nodes: 0, aliases: 0 };
  const place: Place = { start: base, keyStart: null, scalar: null, children: new Map() };
  const value = readNode(document.contents, { place, depth: 0 }, reader);
  if (report.errors.length > 0 || value === undefined) return null;
  return { value, places: placesOf(place, text, base) };
}

function yamlMessage(code: string, message: string): string {
  switch (code) {
    case "MULTIPLE_DOCS":
      return "the file holds several documents; a definition is one document";
    case "TAB_AS_INDENT":
      return "a tab is used as indentation; YAML wants spaces";
    case "RESOURCE_EXHAUSTION":
      return "the document is nested too deep";
    case "TAG_RESOLVE_FAILED":
      return "tags (`!…`) are not used in definitions";
    default:
      return message.charAt(0).toLowerCase() + message.slice(1);
  }
}

interface Reader {
  readonly document: Document.Parsed;
  readonly base: number;
  readonly report: Report;
  nodes: number;
  aliases: number;
}

interface At {
  readonly place: Place;
  readonly depth: number;
}

function readNode(node: Node | null | undefined, at: At, reader: Reader): Json | undefined {
  const { report, base } = reader;
  const start = base + (node?.range?.[0] ?? 0);
  reader.nodes += 1;
  if (reader.nodes > DEFINITION_LIMITS.yamlNodes) {
    if (reader.nodes === DEFINITION_LIMITS.yamlNodes + 1) {
      report.errorAt(
        start,
        `the document holds more than ${DEFINITION_LIMITS.yamlNodes} values, aliases unfolded`,
      );
    }
    return undefined;
  }
  if (at.depth > DEFINITION_LIMITS.yamlDepth) {
    report.errorAt(start, `the document is nested deeper than ${DEFINITION_LIMITS.yamlDepth} levels`);
    return undefined;
  }
  if (node === null || node === undefined) return null;
  if (isAlias(node)) return readAlias(node, at, reader);
  if (isScalar(node)) return readScalar(node, start, report);
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      const place = placeOf(item as Node | null, null, at.place, base);
      at.place.children.set(index, place);
      return readNode(item as Node | null, { place, depth: at.depth + 1 }, reader) ?? null;
    });
  }
  return isMap(node) ? readMap(node.items as readonly MapItem[], at, reader) : undefined;
}

function readAlias(node: Alias, at: At, reader: Reader): Json | undefined {
  const start = reader.base + (node.range?.[0] ?? 0);
  reader.aliases += 1;
  if (reader.aliases > DEFINITION_LIMITS.yamlAliases) {
    reader.report.errorAt(start, `the document uses more than ${DEFINITION_LIMITS.yamlAliases} aliases`);
    return undefined;
  }
  const target = node.resolve(reader.document);
  if (target !== undefined) return readNode(target, { ...at, depth: at.depth + 1 }, reader);
  reader.report.errorAt(start, `there is no anchor \`&${node.source}\` before this alias`);
  return undefined;
}

interface MapItem {
  readonly key: Node | null;
  readonly value: Node | null;
}

function readMap(items: readonly MapItem[], at: At, reader: Reader): Json {
  const members: [string, Json][] = [];
  for (const item of items) {
    const keyStart = reader.base + (item.key?.range?.[0] ?? 0);
    const key = isScalar(item.key) ? String(item.key.source ?? item.key.value) : null;
    if (key === null || key === "__proto__" || key === "") {
      reader.report.errorAt(keyStart, "this cannot be a key", "a plain name");
      continue;
    }
    if (at.place.children.has(key)) {
      reader.report.errorAt(keyStart, `the key \`${key}\` is there twice`);
      continue;
    }
    const place = placeOf(item.value, keyStart, at.place, reader.base);
    at.place.children.set(key, place);
    members.push([key, readNode(item.value, { place, depth: at.depth + 1 }, reader) ?? null]);
    if (reader.nodes > DEFINITION_LIMITS.yamlNodes) break;
  }
  return Object.fromEntries(members);
}

function placeOf(node: Node | null, keyStart: number | null, parent: Place, base: number): Place {
  const range = node?.range;
  const empty = range === null || range === undefined || range[0] === range[1];
  const start = empty ? (keyStart ?? parent.start) : base + range[0];
  return { start, keyStart, scalar: isScalar(node) ? node : null, children: new Map() };
}

function readScalar(node: Scalar, start: number, report: Report): Json | undefined {
  const value = node.value;
  if (typeof value === "number") {
    if (!Number.isFinite(value))
      report.errorAt(start, `${node.source ?? value} is not a number that JSON has`);
    else if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      report.errorAt(start, `${node.source ?? value} is too large to stay exact`, "a text in quotes");
    }
    return value;
  }
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  report.errorAt(start, "this value has no JSON form");
  return undefined;
}

function placesOf(root: Place, text: string, base: number): Places {
  const find = (path: Path): { place: Place; found: boolean } => {
    let place = root;
    for (const key of path) {
      const next = place.children.get(key);
      if (next === undefined) return { place, found: false };
      place = next;
    }
    return { place, found: true };
  };
  return {
    offset(path, where = {}) {
      const { place, found } = find(path);
      if (found && where.atKey === true && place.keyStart !== null) return place.keyStart;
      if (found && where.at !== undefined && place.scalar !== null) {
        return base + offsetInScalar(place.scalar, text, where.at);
      }
      return place.start;
    },
    written(path) {
      const { place, found } = find(path);
      return found ? (place.scalar?.source ?? null) : null;
    },
  };
}

/**
 * Where a character of a scalar's value is in the text: the value is laid over what was written, with the
 * indentation, folds and escapes that YAML takes away.
 */
function offsetInScalar(node: Scalar, text: string, valueOffset: number): number {
  const value = String(node.value);
  const [start, end] = node.range ?? [0, 0];
  let raw = start;
  const block = node.type === "BLOCK_LITERAL" || node.type === "BLOCK_FOLDED";
  if (block) raw = Math.max(raw, text.indexOf("\n", start) + 1);
  else if (node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE") raw += 1;
  let at = 0;
  while (at < valueOffset && raw < end) {
    const step = matchAt(node, { value, at, text, raw });
    at += step.value;
    raw += step.raw;
  }
  // What YAML takes away in front of the character wanted is not the character.
  while (raw < end && value[at] !== " " && /[ \t\r\n]/.test(text.charAt(raw)) && text[raw] !== value[at])
    raw += 1;
  return Math.min(raw, Math.max(start, end - 1));
}

const ESCAPED_CHARS: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 };

function matchAt(
  node: Scalar,
  over: { readonly value: string; readonly at: number; readonly text: string; readonly raw: number },
): { readonly value: number; readonly raw: number } {
  const wanted = over.value[over.at];
  const written = over.text[over.raw];
  if (node.type === "QUOTE_DOUBLE" && written === "\\") {
    const kind = over.text.charAt(over.raw + 1);
    if (kind === "\n" || kind === "\r") return { value: 0, raw: 2 };
    const wide = kind === "U" && (over.value.codePointAt(over.at) ?? 0) > 0xffff;
    return { value: wide ? 2 : 1, raw: ESCAPED_CHARS[kind] ?? 2 };
  }
  if (node.type === "QUOTE_SINGLE" && written === "'" && wanted === "'") return { value: 1, raw: 2 };
  if (written === wanted) return { value: 1, raw: 1 };
  // A fold: the line's end was written, a space is read; the indentation behind it goes by itself.
  if (wanted === " " && written === "\n") return { value: 1, raw: 1 };
  if (written !== undefined && /[ \t\r\n]/.test(written)) return { value: 0, raw: 1 };
  return { value: 1, raw: 1 };
}
