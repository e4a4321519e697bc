import { isJsonObject, type Json } from "../../base/json.ts";
import { appendUser } from "../../domain/history.ts";
import { TEXTS } from "./agent-prompt.ts";
import type { Session } from "./agent-session.ts";

/** What somebody has said to the run while the agent was at work. */
interface Heard {
  readonly id: string;
  readonly from: string;
  readonly text: string;
}

/**
 * Puts replies that the agent has not heard yet into its history; `false` when there are none. Which replies were heard
 * at which point is recorded, so that a resumed agent hears them there again and nothing earlier than it did.
 */
export async function hearReplies(session: Session, at: { readonly key: string; readonly before: string }) {
  const fresh = repliesTo(session).filter(({ id }) => !session.heard.has(id));
  if (fresh.length === 0 || (!isRecorded(session, at.key) && isRecorded(session, at.before))) return false;
  const heard = await session.context.once<Json>(at.key, {
    effect: "pure",
    request: "replies",
    label: "replies",
    perform: async () => fresh.map((reply) => ({ ...reply })),
  });
  for (const { id, from, text } of heard as unknown as readonly Heard[]) {
    session.heard.add(id);
    session.messages = appendUser(session.messages, TEXTS.reply(from, text));
    session.transcript.push({ type: "heard", turn: session.turn, from, text });
    session.story.note("reply_heard", { turn: session.turn, id, from });
  }
  return true;
}

function repliesTo(session: Session): Heard[] {
  return session.context.facts().flatMap((fact) => {
    if (fact.kind !== "signal_received" || fact.name !== "reply" || !isJsonObject(fact.body)) return [];
    const { text } = fact.body;
    return typeof text === "string" ? [{ id: fact.id, from: fact.from, text }] : [];
  });
}

function isRecorded(session: Session, key: string): boolean {
  const { id, attempt } = session.context.step;
  return session.context
    .facts()
    .some(
      (fact) =>
        fact.kind === "effect_recorded" && fact.step === id && fact.attempt === attempt && fact.key === key,
    );
}
