import { z } from "zod";

/** Bounds of one script, so that a mistake in a file cannot fill the memory. */
export const SCRIPT_LIMITS = {
  bytes: 1_048_576,
  turns: 1_000,
  agents: 100,
  toolCalls: 32,
  times: 10_000,
  delayMs: 600_000,
  paceMs: 60_000,
} as const;

/** How a scripted answer can go wrong; each kind has its error code in `faults.ts` and its shape on the wire. */
export const FAULT_KINDS = [
  "overloaded",
  "rate_limited",
  "unavailable",
  "auth",
  "invalid_request",
  "context_overflow",
  "refused",
  "truncated",
  "reset",
  "empty",
  "no_usage",
  "error_first",
  "error_mid",
  "bad_reply",
  "html",
  "stall",
  "hang",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

const oneOrMore = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

const pattern = z.string().superRefine((text, context) => {
  try {
    new RegExp(text, "m");
  } catch (error) {
    context.addIssue({ code: "custom", message: `is not a regular expression: ${(error as Error).message}` });
  }
});

const matchersSchema = z
  .strictObject({
    agent: z.string().min(1),
    stage: z.string().min(1),
    system_contains: oneOrMore,
    system_matches: pattern,
    last_message_contains: oneOrMore,
    last_message_matches: pattern,
    any_message_contains: oneOrMore,
    tool_result_contains: oneOrMore,
    tool_result_matches: pattern,
    tool_is_error: z.boolean(),
    last_tool: z.string().min(1),
    tools_include: oneOrMore,
    turn: z.int().min(1),
    json: z.boolean(),
  })
  .partial();
export type Matchers = z.infer<typeof matchersSchema>;

const tokens = z.int().min(0).max(1_000_000_000);

const faultSchema = z.union([
  z.enum(FAULT_KINDS).transform((kind) => ({ kind })),
  z.strictObject({
    kind: z.enum(FAULT_KINDS),
    /** How often, in one process, for one and the same request. */
    times: z.union([z.int().min(1).max(SCRIPT_LIMITS.times), z.literal("always")]).optional(),
    retry_after_ms: z.int().min(0).max(86_400_000).optional(),
  }),
]);

const turnSchema = z
  .strictObject({
    when: matchersSchema.optional(),
    expect: matchersSchema.optional(),
    text: z.string().optional(),
    reasoning: z.string().optional(),
    tool_calls: z
      .array(z.strictObject({ name: z.string().min(1), input: z.json().default({}) }))
      .max(SCRIPT_LIMITS.toolCalls)
      .optional(),
    finish: z.enum(["stop", "tool_calls", "length"]).optional(),
    usage: z
      .strictObject({
        input: tokens,
        cache_read: tokens,
        cache_write: tokens,
        output: tokens,
        reasoning: tokens,
      })
      .partial()
      .optional(),
    delay_ms: z.int().min(0).max(SCRIPT_LIMITS.delayMs).optional(),
    pace_ms: z.int().min(0).max(SCRIPT_LIMITS.paceMs).optional(),
    times: z.union([z.int().min(1).max(SCRIPT_LIMITS.times), z.literal("always")]).default(1),
    fault: faultSchema.optional(),
  })
  .refine((turn) => turn.text !== undefined || turn.tool_calls !== undefined || turn.fault !== undefined, {
    message: "needs a `text`, `tool_calls` or a `fault`",
  });
export type Turn = z.infer<typeof turnSchema>;

const turnsSchema = z.array(turnSchema).min(1).max(SCRIPT_LIMITS.turns);

const agentSchema = z.union([
  turnsSchema.transform((turns) => ({ match: undefined, turns })),
  z.strictObject({ match: matchersSchema.optional(), turns: turnsSchema }),
]);

export const scriptSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/i, "may hold letters, digits, `.`, `_` and `-`"),
    description: z.string().optional(),
    turns: turnsSchema.optional(),
    agents: z.record(z.string().min(1), agentSchema).optional(),
  })
  .refine((script) => script.turns !== undefined || script.agents !== undefined, {
    message: "needs `turns` or `agents`",
  })
  .refine((script) => Object.keys(script.agents ?? {}).length <= SCRIPT_LIMITS.agents, {
    message: `holds more than ${SCRIPT_LIMITS.agents} agents`,
  });
export type Script = z.infer<typeof scriptSchema>;
