/**
 * Every request and response of the HTTP API: snake_case, moments as RFC 3339 in UTC, spans in milliseconds with
 * `_ms` at the end of the name. The server parses with these schemas, the OpenAPI document is generated from them,
 * and the console takes its types from here.
 */
export * from "./api/act.ts";
export * from "./api/artifacts.ts";
export * from "./api/definitions.ts";
export * from "./api/events.ts";
export * from "./api/queue.ts";
export * from "./api/runs.ts";
export * from "./api/schedules.ts";
export * from "./api/shared.ts";
export * from "./api/spend.ts";
export * from "./api/tasks.ts";
export * from "./api/workers.ts";
