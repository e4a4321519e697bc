import { z } from "zod";
import { parseDuration } from "../../base/duration.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Rate } from "../../domain/rate-limit.ts";

export const LIMITS_FILE = {
  bytes: 1_048_576,
  tenants: 10_000,
  mostQueued: 10_000_000,
  mostRunning: 100_000,
  mostRate: 1_000_000,
  leastWeight: 0.01,
  mostWeight: 1_000,
  /** A year: longer spans are mistakes. */
  longestMs: 31_536_000_000,
} as const;

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, h: 3_600_000 };
const RATE = /^(\d{1,7})\/(s|min|h)(?: burst (\d{1,7}))?$/;

const span = z.string({ error: 'expected a duration such as "30s" or "5m"' }).transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0 && ms <= LIMITS_FILE.longestMs) return ms;
  context.addIssue({
    code: "custom",
    message: `is ${JSON.stringify(text)}; expected a duration such as "30s" or "5m"`,
  });
  return z.NEVER;
});

const RATE_FORM = 'expected a rate such as "60/min" or "60/min burst 10" (per s, min or h)';
const rate = z.string({ error: RATE_FORM }).transform((text, context): Rate => {
  const [, count, unit, burst] = RATE.exec(text.trim()) ?? [];
  const parsed = { count: Number(count), perMs: UNIT_MS[unit ?? ""] ?? 0, burst: Number(burst ?? count) };
  const fits = (n: number) => n >= 1 && n <= LIMITS_FILE.mostRate;
  if (fits(parsed.count) && fits(parsed.burst)) return parsed;
  context.addIssue({ code: "custom", message: `is ${JSON.stringify(text)}; ${RATE_FORM}` });
  return z.NEVER;
});

const whole = (least: number, most: number) => {
  const error = `expected a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, error).max(most, error);
};
const share = (least: number, most: number) => {
  const error = `expected a number from ${least} to ${most}`;
  return z.number({ error }).min(least, error).max(most, error);
};
const map = (what: string) => ({ error: `${what} is a map` });

const classSchema = z.strictObject(
  {
    priority: whole(0, LIMITS.priorities - 1).describe("0 is the most urgent."),
    start_by: span.optional().describe("A run that has not begun after so long is not begun any more."),
    deadline: span.optional().describe("A run that has not ended after so long is stopped."),
    target: span.optional().describe("A run that takes longer is reported, and goes on."),
  },
  map("a class"),
);

const tenantSchema = z.strictObject(
  {
    weight: share(LIMITS_FILE.leastWeight, LIMITS_FILE.mostWeight).optional(),
    max_queued: whole(1, LIMITS_FILE.mostQueued).nullable().optional(),
    max_running: whole(1, LIMITS_FILE.mostRunning).nullable().optional(),
    rate: rate.nullable().optional(),
    principal_rate: rate.nullable().optional(),
  },
  map("a tenant"),
);
export type WrittenTenant = z.infer<typeof tenantSchema>;

export const CLASS_NAME = /^[a-z][a-z0-9_-]{0,29}$/;
export const TENANT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,99}$/;

export const limitsSchema = z.strictObject(
  {
    classes: z.record(z.string(), classSchema, map("classes")).optional(),
    default_class: z.string({ error: "expected the name of a class" }).optional(),
    queue: z
      .strictObject({ max_queued: whole(1, LIMITS_FILE.mostQueued).optional() }, map("queue"))
      .optional(),
    default: tenantSchema.optional().describe("Every tenant that is not named below."),
    tenants: z.record(z.string(), tenantSchema, map("tenants")).optional(),
    retry_budget: z
      .strictObject(
        { share: share(0, 10).optional(), floor: whole(0, 10_000).optional() },
        map("retry_budget"),
      )
      .optional(),
  },
  { error: "the file is a map" },
);
export type WrittenLimits = z.infer<typeof limitsSchema>;

/** The keys that may stand at a place of the file; none where they are names of one's own. */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  const [first] = path;
  if (path.length === 0) return Object.keys(limitsSchema.shape);
  if (first === "classes") return Object.keys(classSchema.shape);
  if (first === "queue") return ["max_queued"];
  if (first === "retry_budget") return ["share", "floor"];
  return Object.keys(tenantSchema.shape);
}
