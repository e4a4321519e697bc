export type JsonPrimitive = string | number | boolean | null;
export type JsonObject = { readonly [key: string]: Json };
export type Json = JsonPrimitive | readonly Json[] | JsonObject;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same text for equal values, whatever the order of their keys: what hashes are taken of. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item as Json)).join(",")}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const parts: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member !== undefined) parts.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${parts.join(",")}}`;
}

/** How many levels of arrays and objects a value has, counted without recursion and never past `limit`. */
export function jsonDepth(value: unknown, limit: number): number {
  let level: object[] = typeof value === "object" && value !== null ? [value] : [];
  let depth = 0;
  while (level.length > 0 && depth <= limit) {
    depth += 1;
    const next: object[] = [];
    for (const holder of level) {
      for (const item of Object.values(holder) as unknown[]) {
        if (typeof item === "object" && item !== null) next.push(item);
      }
    }
    level = next;
  }
  return depth;
}
