import type { Json } from "../base/json.ts";
import { isJsonObject } from "../base/json.ts";
import type { Message } from "./message.ts";
import { LIKELY_SHAPES, type SecretShape, VENDOR_SHAPES } from "./secret-shapes.ts";

/** How often something of each kind was taken out; never what it was. */
export type Found = Readonly<Record<string, number>>;

export interface Redacted<T> {
  readonly value: T;
  /** `null` when nothing was found; then `value` is what was given, itself. */
  readonly found: Found | null;
}

/** A value that must not be seen, and the name that is put in its place. */
export interface KnownSecret {
  readonly name: string;
  readonly value: string;
}

/**
 * `certain`: known values and forms that are nobody's by chance. `likely`: also what only looks random under a name
 * like `password`; for text from outside, not for what must stay exact.
 */
export type Strictness = "certain" | "likely";

export interface Redactor {
  /** The same text always gives the same: prompts that were cached stay cached. */
  text(text: string, how: Strictness): Redacted<string>;
}

/** Shorter values occur in ordinary text by chance. */
export const SHORTEST_SECRET = 8;
/** What two forms of one secret can never be shorter than; no text below it is looked at. */
const SHORTEST_TEXT = 8;

/** Of all shapes at once, so that a text without any is read once, not thirty times: 4 µs instead of 24 of a kilobyte. */
const VENDOR_HINT = anyOf(VENDOR_SHAPES, "");
const LIKELY_HINT = anyOf(LIKELY_SHAPES, "i");

function anyOf(shapes: readonly SecretShape[], flags: string): RegExp {
  return new RegExp(shapes.map(({ hint }) => hint.source).join("|"), flags);
}

export function createRedactor(secrets: readonly KnownSecret[]): Redactor {
  const known = secrets
    .filter(({ value }) => value.length >= SHORTEST_SECRET)
    // The longest first: one secret may contain another.
    .sort((a, b) => b.value.length - a.value.length);
  const names = new Map(known.map(({ name, value }) => [value, name]));
  const values =
    known.length === 0 ? null : new RegExp(known.map(({ value }) => escaped(value)).join("|"), "g");
  return {
    text: (text, how) => {
      if (text.length < SHORTEST_TEXT) return { value: text, found: null };
      const counts = new Counts();
      let safe = text;
      if (values !== null) safe = safe.replace(values, (value) => counts.put(names.get(value) as string));
      if (VENDOR_HINT.test(safe)) for (const shape of VENDOR_SHAPES) safe = without(safe, shape, counts);
      if (how === "likely" && LIKELY_HINT.test(safe)) {
        for (const shape of LIKELY_SHAPES) safe = without(safe, shape, counts);
      }
      return counts.found === null ? { value: text, found: null } : { value: safe, found: counts.found };
    },
  };
}

function without(text: string, { kind, pattern, hint, isOne }: SecretShape, counts: Counts): string {
  if (!hint.test(text)) return text;
  // The second argument is the first group, or, of a pattern without groups, the place of the match.
  return text.replace(pattern, (match, host: unknown) =>
    isOne === undefined || isOne(match, String(host)) ? counts.put(kind) : match,
  );
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

class Counts {
  #found: Record<string, number> | null = null;

  get found(): Found | null {
    return this.#found;
  }

  put(kind: string): string {
    this.#found ??= {};
    this.#found[kind] = (this.#found[kind] ?? 0) + 1;
    return `[redacted:${kind}]`;
  }
}

export function addFound(a: Found | null, b: Found | null): Found | null {
  if (a === null || b === null) return a ?? b;
  const sum: Record<string, number> = { ...a };
  for (const [kind, count] of Object.entries(b)) sum[kind] = (sum[kind] ?? 0) + count;
  return sum;
}

/** Every text in a value; names of fields stay as they are. */
export function redactJson(redactor: Redactor, value: Json, how: Strictness): Redacted<Json> {
  let found: Found | null = null;
  const clean = (part: Json): Json => {
    if (typeof part === "string") {
      const safe = redactor.text(part, how);
      found = addFound(found, safe.found);
      return safe.value;
    }
    if (Array.isArray(part)) return part.map((item) => clean(item as Json));
    if (!isJsonObject(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([key, member]) => [key, clean(member)]));
  };
  const safe = clean(value);
  return found === null ? { value, found } : { value: safe, found };
}

/**
 * A message as it may leave. What a model said itself is only searched for what is certain: a random-looking value
 * in its own words is its own.
 */
export function redactMessage(redactor: Redactor, message: Message): Redacted<Message> {
  switch (message.role) {
    case "user": {
      const { value, found } = redactor.text(message.text, "likely");
      return found === null ? { value: message, found } : { value: { role: "user", text: value }, found };
    }
    case "tool": {
      let found: Found | null = null;
      const results = message.results.map((result) => {
        const safe = redactor.text(result.text, "likely");
        found = addFound(found, safe.found);
        return safe.found === null ? result : { ...result, text: safe.value };
      });
      return found === null ? { value: message, found } : { value: { role: "tool", results }, found };
    }
    case "assistant":
      return redactReply(redactor, message);
  }
}

function redactReply(
  redactor: Redactor,
  message: Extract<Message, { role: "assistant" }>,
): Redacted<Message> {
  const text = redactor.text(message.text, "certain");
  let found = text.found;
  const toolCalls = message.toolCalls.map((call) => {
    const input = redactJson(redactor, call.input, "certain");
    found = addFound(found, input.found);
    return input.found === null ? call : { ...call, input: input.value };
  });
  const { providerData } = message;
  const kept = providerData === undefined ? null : redactJson(redactor, providerData, "certain");
  found = addFound(found, kept?.found ?? null);
  if (found === null) return { value: message, found };
  // What the provider wants back word for word cannot go back changed: signatures would no longer fit.
  const whole = kept !== null && kept.found === null && text.found === null ? { providerData } : {};
  return {
    value: { role: "assistant", text: text.value, toolCalls, ...(whole as { providerData?: Json }) },
    found,
  };
}
