import type { Json } from "../../base/json.ts";
import { isJsonObject } from "../../base/json.ts";
import type { CallRecord, GatewayRequest } from "../../contracts/model-gateway.ts";
import type { ModelReply } from "../../contracts/model-provider.ts";
import { FailureError } from "../../domain/errors.ts";
import type { Message, ToolDescription } from "../../domain/message.ts";
import { FINISH } from "./agent-prompt.ts";
import { charge, type Session, timeIsUp, timeLeft } from "./agent-session.ts";
import { digest, sha256 } from "./digest.ts";
import { onceOf, throwIfAborted, timeLimit } from "./effects.ts";

/** A model call as the journal keeps it. */
export interface RecordedReply {
  readonly reply: ModelReply;
  readonly record: CallRecord;
}

/**
 * The next reply to the history as it is, recorded under `key`. A history that is too large for every candidate is
 * `model_context_overflow`, or cut visibly. Rejects with the gateway's failure.
 */
export async function askModel(
  session: Session,
  key: string,
  tooLong: "cut" | "fail",
): Promise<RecordedReply> {
  const { opening } = session;
  const { agent } = opening;
  const call: Ask = {
    key,
    label: `${agent.name}, turn ${session.turn}`,
    request: {
      ...(opening.use !== null && { use: opening.use }),
      stage: agent.model.stage,
      system: opening.system,
      messages: session.messages,
      tools: toolDescriptions(session),
      maxOutputTokens: agent.model.maxOutputTokens,
      ...(agent.model.temperature !== undefined && { temperature: agent.model.temperature }),
      contextTokens: session.limits.compactAtTokens + agent.model.maxOutputTokens,
      tooLong,
    },
  };
  const said = await ask(session, call);
  const { usage } = said.reply;
  session.measured = {
    messages: session.messages.length + 1,
    tokens: usage.input + usage.cacheRead + usage.cacheWrite + usage.output,
  };
  return said;
}

export interface Ask {
  readonly key: string;
  readonly label: string;
  readonly request: GatewayRequest;
}

/** Any model call of an agent: within its time, charged to it, recorded with what explains it. */
export async function ask(session: Session, call: Ask): Promise<RecordedReply> {
  const { context, parts, turn } = session;
  const left = timeLeft(session);
  try {
    const said = await onceOf<RecordedReply>(context, call.key, {
      effect: "pure",
      request: requestIdentity(call.request),
      label: call.label,
      perform: async (effect) => {
        context.publish("progress", { phase: "model", turn, turns: session.limits.turns });
        const limit = timeLimit(context.clock, left);
        const stopped = AbortSignal.any([context.signal, effect.signal]);
        const signal = AbortSignal.any([stopped, limit.signal]);
        const result = await parts.gateway
          .call(call.request, {
            signal,
            payer: context.run.payer,
            onDelta: (delta) => context.publish("delta", { turn, kind: delta.kind, text: delta.text }),
            onRestart: () => context.publish("progress", { phase: "model_again", turn }),
            onHeartbeat: (idleMs) => context.publish("heartbeat", { turn, idle_ms: idleMs }),
          })
          .finally(limit.cancel);
        throwIfAborted(stopped);
        if (result.ok) return { reply: result.reply, record: result.record };
        const failed = limit.fired() ? timeIsUp(session).failure : result.failure;
        const cause = failed.details ?? null;
        throw new FailureError({ ...failed, details: { cause, record: result.record as unknown as Json } });
      },
    });
    charge(session, said.record);
    return said;
  } catch (thrown) {
    const record = recordOf(thrown);
    if (record !== null) charge(session, record);
    throw thrown;
  }
}

/** What a failed call cost, from the failure that is recorded of it. */
export function recordOf(thrown: unknown): CallRecord | null {
  if (!(thrown instanceof FailureError) || !isJsonObject(thrown.failure.details)) return null;
  return (thrown.failure.details.record ?? null) as unknown as CallRecord | null;
}

/** What makes a request this one: hashes, so that a long history is not written down again each turn. */
function requestIdentity(request: GatewayRequest): Json {
  return {
    use: request.use ?? null,
    stage: request.stage,
    system: sha256(request.system),
    history: sha256(request.messages.map(messageDigest).join("\n")),
    tools: request.tools.map((tool) => tool.name),
    max_output_tokens: request.maxOutputTokens,
    temperature: request.temperature ?? null,
  };
}

const digests = new WeakMap<Message, string>();

/** Messages never change once they are said, so each is hashed once. */
function messageDigest(message: Message): string {
  const known = digests.get(message);
  if (known !== undefined) return known;
  const made = digest(message);
  digests.set(message, made);
  return made;
}

function toolDescriptions(session: Session): readonly ToolDescription[] {
  const own = [...session.tools.values()].map(({ name, description, input }) => ({
    name,
    description,
    input,
  }));
  return [...own, FINISH];
}
