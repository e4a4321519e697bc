import { ErrorSchema } from "../api.ts";

/** Documents the answers that are not a success; each is sent in the one shape. */
export function failures<S extends number>(...statuses: S[]): Record<S, typeof ErrorSchema> {
  return Object.fromEntries(statuses.map((status) => [status, ErrorSchema])) as Record<S, typeof ErrorSchema>;
}
