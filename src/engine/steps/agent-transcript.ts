import { isJsonObject, type Json, type JsonObject } from "../../base/json.ts";

/** One line of JSON an entry, every text of it redacted. */
export function transcriptText(
  entries: readonly JsonObject[],
  redact: ((text: string) => string) | undefined,
): string {
  return entries.map((entry) => `${JSON.stringify(redactTexts(entry, redact))}\n`).join("");
}

/** The value with every text in it redacted: so that its JSON stays JSON. */
export function redactTexts(value: Json, redact: ((text: string) => string) | undefined): Json {
  return redact === undefined ? value : mapTexts(value, redact);
}

function mapTexts(value: Json, clean: (text: string) => string): Json {
  if (typeof value === "string") return clean(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item as Json, clean));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapTexts(member, clean)]));
}
