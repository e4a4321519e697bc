import { isJsonObject } from "../../../base/json.ts";

/** One text field of every object in a list. */
export function idsOf(list: unknown, field: string): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    const id = isJsonObject(item) ? item[field] : undefined;
    return typeof id === "string" ? [id] : [];
  });
}
