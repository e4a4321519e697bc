import type { Json } from "../base/json.ts";
import { addFound, type Found, type Redactor, redactJson } from "../domain/redact.ts";

interface Content {
  readonly mediaType: string;
  readonly content: string | Uint8Array;
}

const TEXT = /^text\/|^application\/(?:[\w.+-]*\+)?(?:json|jsonl|x-ndjson|xml|yaml)$/;
/** Above it an artifact is a dump of something, and searching it would hold the other runs up. */
const MAX_SEARCHED_CHARS = 8_388_608;

/** What is saved of an artifact: text without secrets, everything else as it is. */
export function safeContent(
  { mediaType, content }: Content,
  redactor: Redactor | undefined,
): { readonly content: string | Uint8Array; readonly found: Found | null } {
  const type = mediaType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (redactor === undefined || !TEXT.test(type) || content.length > MAX_SEARCHED_CHARS) {
    return { content, found: null };
  }
  const text = typeof content === "string" ? content : textOf(content);
  if (text === null) return { content, found: null };
  const { value, found } =
    type.endsWith("json") || type.endsWith("jsonl")
      ? safeJson(text, type, redactor)
      : redactor.text(text, "certain");
  return found === null ? { content, found } : { content: value, found };
}

/** `null` for what is no text, whatever it is called: it would not survive being read as one. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** By its texts, so that it stays JSON; one that is none is searched like any text. */
function safeJson(text: string, type: string, redactor: Redactor): { value: string; found: Found | null } {
  if (type.endsWith("json") && !type.endsWith("ndjson")) return safeDocument(text, redactor, 2);
  let found: Found | null = null;
  const lines = text.split("\n").map((line) => {
    const safe = safeDocument(line, redactor, 0);
    found = addFound(found, safe.found);
    return safe.value;
  });
  return { value: lines.join("\n"), found };
}

function safeDocument(
  text: string,
  redactor: Redactor,
  indent: number,
): { value: string; found: Found | null } {
  if (text.trim() === "") return { value: text, found: null };
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    return redactor.text(text, "certain");
  }
  const { value, found } = redactJson(redactor, parsed, "certain");
  if (found === null) return { value: text, found };
  return { value: `${JSON.stringify(value, null, indent)}${text.endsWith("\n") ? "\n" : ""}`, found };
}
