import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import { parseUsd } from "../../domain/money.ts";
import { CATCH_UP, OVERLAP } from "../../domain/schedule.ts";
import { DEFINITION_LIMITS } from "./limits.ts";

// The `error` of each schema is what was expected, in words for the author of the file.

const want = (expected: string) => ({ error: expected });
const DURATION = "a duration such as 30s, 5m or 1h30m";

export const STEP_ID = /^[a-z][a-z0-9_]*$/;
export const INPUT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

const name = z.string(want("a name")).regex(NAME, want("up to 64 of a-z, 0-9, `-` and `_`"));
const stepId = z.string(want("a step id")).regex(STEP_ID, want("a-z first, then a-z, 0-9 and `_`"));
const duration = z
  .string(want(DURATION))
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)(\d+(\.\d+)?(ms|s|m|h|d))*$/, want(DURATION));
const count = (expected: string, max: number) =>
  z
    .int(want(expected))
    .min(1, want(expected))
    .max(max, want(`${expected}, at most ${max}`));
/** Anything that YAML can say. */
const json = z.unknown();
const jsonObject = z.record(z.string(), json, want("a mapping"));

const MONEY = "US dollars, such as $2 or 0.50";
/** Written as dollars; read with `parseUsd`. */
export const money = z
  .union([z.string(want(MONEY)), z.number(want(MONEY))], want(MONEY))
  .refine((written) => parseUsd(written) !== null, want(MONEY));

const expression = z
  .union([z.string(), z.boolean(), z.number()], want("an expression, with or without `${{ }}`"))
  .meta({ description: "An expression, with or without `${{ }}`." });
const examples = z
  .array(
    z
      .string(want("a request in free words"))
      .min(1, want("a request in free words"))
      .max(LIMITS.exampleChars, want(`at most ${LIMITS.exampleChars} characters`)),
    want("a list of requests in free words"),
  )
  .max(LIMITS.examples, want(`at most ${LIMITS.examples} examples`))
  .optional()
  .meta({ description: "Requests in free words that this is for; `POST /v1/act` is routed by them." });
const outputs = z
  .record(z.string(), expression, want("a mapping of names to expressions"))
  .meta({ description: "Name → expression. Absent: for a step, the action's own output." });

const retry = z
  .union(
    [
      count("how often to try in all, from 1", LIMITS.stepAttempts),
      z.strictObject(
        {
          attempts: count("how often to try in all, from 1", LIMITS.stepAttempts),
          initial: duration.optional().meta({ description: "Longest pause before the second attempt; 1s." }),
          factor: z
            .number(want("a number from 1 to 10"))
            .min(1, want("a number from 1 to 10"))
            .max(10, want("a number from 1 to 10"))
            .optional()
            .meta({ description: "By how much the pause may grow each time; 2." }),
          max: duration.optional().meta({ description: "Longest pause at all; 60s." }),
          on: z
            .array(z.string(want("an error code")), want("a list of error codes"))
            .min(1, want("at least one error code"))
            .optional()
            .meta({
              description: "Error codes to try again on. Absent: those that call themselves retryable.",
            }),
        },
        want("a number of attempts, or a mapping with `attempts`"),
      ),
    ],
    want("a number of attempts, or a mapping with `attempts`"),
  )
  .meta({ description: "How often the step is tried, with a random, growing pause in between." });

const foreach = z
  .union(
    [
      z.string(),
      z.array(json),
      z.strictObject(
        {
          items: z.union([z.string(), z.array(json)], want("an expression that yields a list, or a list")),
          max_parallel: count("how many at the same time, from 1", LIMITS.runParallelSteps).optional(),
          fail_fast: z.boolean(want("true or false")).optional(),
        },
        want("an expression that yields a list, or a mapping with `items`"),
      ),
    ],
    want("an expression that yields a list, a list, or a mapping with `items`"),
  )
  .meta({ description: "Performs the step once for each member of a list, seen as `item` and `index`." });

const onFailure = z
  .union(
    [
      z.enum(["fail", "continue"]),
      z.strictObject({ run: stepId }, want("`fail`, `continue` or `run: <step id>`")),
    ],
    want("`fail`, `continue` or `run: <step id>`"),
  )
  .meta({ description: "What happens when the step has failed for good; `fail` ends the run." });

const LABEL = /^[A-Za-z0-9][A-Za-z0-9._=/:-]*$/;
const WANT_LABEL = `a label such as gpu or os=linux, at most ${LIMITS.labelChars} characters`;
const label = z
  .string(want(WANT_LABEL))
  .regex(LABEL, want(WANT_LABEL))
  .max(LIMITS.labelChars, want(WANT_LABEL));
const runsOn = z
  .union(
    [label, z.array(label, want("a list of labels")).min(1, want("at least one label")).max(LIMITS.labels)],
    want("a label or a list of labels"),
  )
  .meta({ description: "Labels that a worker must all have to drive the run; absent means any worker." });

const CONFLICTS = ["queue", "cancel_older", "reject"] as const;
const most = count("how many runs at a time, from 1", LIMITS.slotLimit);
const concurrency = z
  .union(
    [
      most,
      z.strictObject(
        {
          key: z
            .string(want("a text, with or without `${{ }}`"))
            .min(1, want("a text, with or without `${{ }}`"))
            .max(LIMITS.slotKeyChars, want(`at most ${LIMITS.slotKeyChars} characters`))
            .optional()
            .meta({
              description:
                "What is shared, held until the run ends; may mention `inputs` and `run`. Absent: the workflow itself.",
            }),
          limit: most.optional().meta({ description: "How many runs at a time; 1." }),
          on_conflict: z
            .enum(CONFLICTS, want(`one of ${CONFLICTS.join(", ")}`))
            .optional()
            .meta({
              description: "Whether one too many waits, takes the place of older ones, or is refused.",
            }),
        },
        want("a number of runs, or a mapping with `key`, `limit` and `on_conflict`"),
      ),
    ],
    want("a number of runs, or a mapping with `key`, `limit` and `on_conflict`"),
  )
  .meta({ description: "How many runs may go on at the same time." });

const step = z.strictObject(
  {
    id: stepId.meta({ description: "Unique in the workflow; `steps.<id>` in expressions." }),
    uses: z.string(want("the name of an action")).meta({ description: "The action that the step performs." }),
    with: jsonObject.optional().meta({ description: "What the action is given. Texts may hold `${{ … }}`." }),
    needs: z
      .union([stepId, z.array(stepId, want("a list of step ids"))], want("a step id or a list of step ids"))
      .optional()
      .meta({ description: "Steps that come before this one." }),
    if: expression.optional().meta({ description: "Whether the step runs; absent means `success()`." }),
    retry: retry.optional(),
    timeout: duration.optional().meta({ description: "The longest one attempt may take." }),
    foreach: foreach.optional(),
    on_failure: onFailure.optional(),
    outputs: outputs.optional(),
  },
  want("a step: a mapping with `id` and `uses`"),
);

const schedule = z.strictObject(
  {
    cron: z
      .string(want("a cron expression with five fields"))
      .meta({ description: "Minute, hour, day of month, month, day of week, e.g. `0 3 * * *`." }),
    timezone: z
      .string(want("an IANA name, e.g. Europe/Berlin"))
      .optional()
      .meta({ description: "An IANA name, e.g. Europe/Berlin; UTC." }),
    catch_up: z
      .enum(CATCH_UP, want(`one of ${CATCH_UP.join(", ")}`))
      .optional()
      .meta({ description: "What becomes of due times that nobody was there for; `last`." }),
    jitter: duration
      .optional()
      .meta({ description: "Each due time starts up to so much later, by an offset of its own; 0s." }),
    overlap: z
      .enum(OVERLAP, want(`one of ${OVERLAP.join(", ")}`))
      .optional()
      .meta({ description: "What happens while an earlier run of this schedule is open; `skip`." }),
    inputs: jsonObject.optional().meta({ description: "What its runs are given." }),
  },
  want("a mapping with `cron`"),
);
const triggers = z
  .strictObject(
    {
      schedule: z
        .array(schedule, want("a list of schedules"))
        .max(LIMITS.triggers, want(`at most ${LIMITS.triggers} schedules`))
        .optional()
        .meta({ description: "Runs that start by the clock." }),
    },
    want("a mapping with `schedule`"),
  )
  .meta({ description: "What starts runs by itself. The newest version of the workflow counts." });

export const workflowShape = z.strictObject(
  {
    name: name.meta({ description: "What the workflow is called by." }),
    version: z
      .union([z.string(), z.number()], want("a version such as 1 or 1.2.0"))
      .meta({ description: "For people; a run is pinned to the content's hash." }),
    description: z
      .string(want("a text"))
      .meta({ description: "One or two sentences: what it does and leaves." }),
    examples,
    on: triggers.optional(),
    inputs: jsonObject.optional().meta({
      description: "Name → JSON Schema (with `required: true` where needed), or one schema of an object.",
    }),
    outputs: outputs.optional(),
    timeout: duration.optional().meta({ description: "The longest the whole run may take." }),
    budget: z
      .union(
        [money, z.strictObject({ cost: money }, want("US dollars, or a mapping with `cost`"))],
        want(MONEY),
      )
      .optional()
      .meta({ description: "What one run and all that it starts may spend; a run may be given less." }),
    max_parallel: count("how many steps at the same time, from 1", LIMITS.runParallelSteps)
      .optional()
      .meta({ description: `Steps performed at the same time; ${LIMITS.runParallelSteps}.` }),
    runs_on: runsOn.optional(),
    concurrency: concurrency.optional(),
    steps: z
      .array(step, want("a list of steps"))
      .min(1, want("at least one step"))
      .max(LIMITS.workflowSteps, want(`at most ${LIMITS.workflowSteps} steps`)),
  },
  want("a mapping with `name`, `version`, `description` and `steps`"),
);
export type WorkflowShape = z.infer<typeof workflowShape>;
export type StepShape = WorkflowShape["steps"][number];

const STAGES = ["context", "retrieval", "plan", "execute", "review", "summarise"] as const;
const tokens = (expected: string) =>
  z.int(want(expected)).min(0, want(expected)).max(100_000_000, want(expected));

export const agentShape = z.strictObject(
  {
    name: name.meta({ description: "What workflows call the agent by." }),
    description: z
      .string(want("a text"))
      .min(1, want("a text"))
      .meta({ description: "One sentence: what it is for." }),
    examples,
    model: z
      .strictObject(
        {
          use: z
            .string(want("`provider/model`"))
            .regex(/^[^/\s]+\/\S+$/, want("`provider/model`"))
            .optional()
            .meta({ description: "Absent: the model configured for the stage, or the default." }),
          stage: z.enum(STAGES, want(`one of ${STAGES.join(", ")}`)).optional(),
          max_output_tokens: count("how many tokens one answer may have, from 1", 1_000_000).optional(),
          temperature: z
            .number(want("a number from 0 to 2"))
            .min(0, want("a number from 0 to 2"))
            .max(2, want("a number from 0 to 2"))
            .optional(),
        },
        want("a mapping"),
      )
      .optional()
      .meta({ description: "Which model answers, and how." }),
    tools: z
      .array(z.string(want("the name of a tool")), want("a list of tool names"))
      .optional()
      .meta({ description: "The tools that it may call; none when absent." }),
    limits: z
      .strictObject(
        {
          turns: count("how many turns, from 1", LIMITS.agentTurns).optional(),
          tokens: count("how many tokens in all, from 1", 100_000_000).optional(),
          cost_usd: z.number(want("US dollars, above 0")).positive(want("US dollars, above 0")).optional(),
          wall_time: duration.optional(),
          repair_rounds: z
            .int(want("how often it may repair, from 0"))
            .min(0, want("how often it may repair, from 0"))
            .max(20, want("how often it may repair, at most 20"))
            .optional(),
          context_tokens: tokens("tokens of the repository map, from 0").optional(),
          compact_at_tokens: count("tokens of history, from 1", 100_000_000).optional(),
        },
        want("a mapping"),
      )
      .optional()
      .meta({ description: "Where it is stopped." }),
    validation: z
      .strictObject(
        {
          gates: z.boolean(want("true or false")).optional(),
          min_chars: count("how many characters, from 1", DEFINITION_LIMITS.agentBytes).optional(),
          must_mention: z
            .array(z.string(want("a phrase")).min(1, want("a phrase")), want("a list of phrases"))
            .optional(),
          may_change_nothing: z.boolean(want("true or false")).optional(),
        },
        want("a mapping"),
      )
      .optional()
      .meta({ description: "What an answer must be to count." }),
  },
  want("a mapping with `name` and `description`"),
);
export type AgentShape = z.infer<typeof agentShape>;
