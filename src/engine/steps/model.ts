import { z } from "zod";
import { formatDuration } from "../../base/duration.ts";
import type { Action, ActionContext } from "../../contracts/action.ts";
import type { CallRecord, GatewayRequest } from "../../contracts/model-gateway.ts";
import type { ModelReply } from "../../contracts/model-provider.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { agentNamed } from "./agent-opening.ts";
import { namedPrompt } from "./agent-prompt.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, plain, throwIfAborted, timeLimit } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import { usageSchema, usageToWire } from "./shapes.ts";
import { storyOf } from "./story.ts";

const DEFAULT_OUTPUT_TOKENS = 8_192;

const input = z.strictObject({
  agent: z.string().nullish().describe("Agent whose prompt and model are used; its tools are not."),
  prompt: z.string().min(1),
  system: z.string().nullish().describe("Instead of the agent's prompt."),
  use: z.string().nullish().describe("`provider/model`"),
});

const output = z.object({ text: z.string(), usage: usageSchema, cost_micros: z.number().nullable() });

/** One call of a model, without tools. */
export function modelAction(parts: StepParts): Action {
  return defineAction({
    name: "model",
    description: "Asks a model once and returns its text.",
    input,
    output,
    async perform(given, context) {
      const agent = given.agent ? agentNamed(parts, given.agent) : null;
      const use = given.use ?? agent?.model.use;
      const temperature = agent?.model.temperature;
      const { reply, record } = await callOnce(parts, context, {
        key: "model",
        label: `model ${use ?? "(default)"}`,
        request: {
          ...(use !== undefined && { use }),
          stage: agent?.model.stage ?? "execute",
          system: given.system ?? (agent ? namedPrompt(agent) : ""),
          messages: [{ role: "user", text: given.prompt }],
          tools: [],
          maxOutputTokens: agent?.model.maxOutputTokens ?? DEFAULT_OUTPUT_TOKENS,
          ...(temperature !== undefined && { temperature }),
        },
      });
      return { text: reply.text, usage: usageToWire(reply.usage), cost_micros: record.costMicros };
    },
  });
}

/** A recorded model call outside of an agent's loop, of at most `limitMs`. Rejects with the gateway's failure. */
export async function callOnce(
  parts: Pick<StepParts, "gateway">,
  context: ActionContext,
  call: {
    readonly key: string;
    readonly label: string;
    readonly request: GatewayRequest;
    readonly limitMs?: number;
  },
): Promise<{ readonly reply: ModelReply; readonly record: CallRecord }> {
  const said = await onceOf<{ reply: ModelReply; record: CallRecord }>(context, call.key, {
    effect: "pure",
    request: call.request,
    label: call.label,
    perform: async (effect) => {
      const stopped = AbortSignal.any([context.signal, effect.signal]);
      const limit = call.limitMs === undefined ? null : timeLimit(context.clock, call.limitMs);
      const signal = limit === null ? stopped : AbortSignal.any([stopped, limit.signal]);
      const asked = parts.gateway.call(call.request, {
        signal,
        payer: context.run.payer,
        onDelta: (delta) => context.publish("delta", { kind: delta.kind, text: delta.text }),
        onRestart: () => context.publish("progress", { phase: "model_again" }),
        onHeartbeat: (idleMs) => context.publish("heartbeat", { idle_ms: idleMs }),
      });
      const result = await asked.finally(() => limit?.cancel());
      throwIfAborted(stopped);
      if (result.ok) return { reply: result.reply, record: result.record };
      const details = { cause: result.failure.details ?? null, record: plain(result.record) };
      const late = limit?.fired() === true && call.limitMs !== undefined;
      const why = late
        ? failure("model_timeout", `no answer within ${formatDuration(call.limitMs)}`)
        : result.failure;
      throw new FailureError({ ...why, details });
    },
  });
  const warnings = said.record.budget?.warnings ?? [];
  if (warnings.length > 0) {
    const story = storyOf(context);
    for (const text of warnings) story.note("budget_warned", { text });
  }
  return said;
}
