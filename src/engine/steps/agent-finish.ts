import { isJsonObject, type Json } from "../../base/json.ts";
import type { Workspace } from "../../contracts/workspace.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { redGatesText, TEXTS } from "./agent-prompt.ts";
import type { Session } from "./agent-session.ts";
import { judge, readGates, readTree, redGates, type Tree } from "./judge.ts";
import { verdictToWire } from "./shapes.ts";

const OUTCOMES = ["done", "nothing_to_do", "cannot"] as const;
/** How often an answer that falls short of the agent's `validation` is given back. */
const MAX_ANSWER_ROUNDS = 2;

/** How an agent ended well. */
export interface Ending {
  readonly outcome: "done" | "nothing_to_do";
  readonly summary: string;
  readonly answer: string;
  readonly files: readonly string[];
}

export type Judgement =
  | { readonly accepted: true; readonly ending: Ending }
  | { readonly accepted: false; readonly text: string };

interface Claim {
  readonly outcome: (typeof OUTCOMES)[number];
  readonly summary: string;
  readonly answer: string;
}

/**
 * What becomes of a claim to be finished: taken, or given back with what is missing. Rejects with `agent_gave_up`,
 * `agent_bad_answer` or `gates_failed` when there is nothing more to try.
 */
export async function judgeFinish(
  session: Session,
  input: Json,
  at: { readonly otherCallFailed: boolean },
): Promise<Judgement> {
  const claim = claimOf(input);
  if (typeof claim === "string") return refused(claim);
  if (at.otherCallFailed) return refused(TEXTS.otherCallFailed);
  if (claim.outcome === "cannot") {
    throw new FailureError(failure("agent_gave_up", claim.summary, { answer: claim.answer }));
  }
  const key = `turn:${session.turn}/finish`;
  const { workspace } = session;
  const tree =
    workspace && (await readTree(session.parts, session.context, { key: `${key}/tree`, workspace }));
  const honest = compareWithTree(session, claim.outcome, tree);
  if (honest.text !== null) return refused(honest.text);
  const short = answerProblem(session, claim);
  if (short !== null) {
    session.answerRounds += 1;
    if (session.answerRounds > MAX_ANSWER_ROUNDS) {
      throw new FailureError(failure("agent_bad_answer", short, { answer: claim.answer }));
    }
    return refused(`Not accepted yet: ${short}`);
  }
  const after = workspace && tree ? await askGates(session, { key, workspace, tree }) : tree;
  if (typeof after === "string") return refused(after);
  const files = after?.files ?? [];
  return {
    accepted: true,
    ending: { outcome: honest.outcome, summary: claim.summary, answer: claim.answer, files },
  };
}

/** git is the truth about changes: a claim that does not fit it is given back once, then corrected. */
function compareWithTree(
  session: Session,
  claimed: Ending["outcome"],
  tree: Tree | null,
): { readonly outcome: Ending["outcome"]; readonly text: string | null } {
  if (tree === null) return { outcome: claimed, text: null };
  const changed = tree.hash !== session.opening.treeHash;
  const mayChangeNothing = session.opening.agent.validation.mayChangeNothing;
  if (claimed === "done" && !changed && !mayChangeNothing) {
    return { outcome: "nothing_to_do", text: sayOnce(session, "unchanged", TEXTS.unchanged) };
  }
  if (claimed === "nothing_to_do" && changed) {
    return { outcome: "done", text: sayOnce(session, "changed", TEXTS.changedAfterAll(tree.files)) };
  }
  const unverified = changed && !session.checked && (session.opening.gates?.length ?? 0) === 0;
  if (claimed === "done" && unverified) {
    return { outcome: claimed, text: sayOnce(session, "verify", TEXTS.verify) };
  }
  return { outcome: claimed, text: null };
}

function sayOnce(session: Session, what: "verify" | "unchanged" | "changed", text: string): string | null {
  if (session.said.has(what)) return null;
  session.said.add(what);
  return text;
}

/** The tree that the gates found green, or the text of the red ones. */
async function askGates(
  session: Session,
  of: { readonly key: string; readonly workspace: Workspace; readonly tree: Tree },
): Promise<Tree | string> {
  const { parts, context, story, limits, opening } = session;
  if (opening.gates === null) return of.tree;
  if (session.verdict?.passed === true && session.verdict.treeHash === of.tree.hash) return of.tree;
  // The gates of the beginning count, so that an agent cannot loosen them; only where there were none may it add some.
  const specs =
    opening.gates.length > 0
      ? opening.gates
      : await readGates(parts, context, { key: `${of.key}/gates`, workspace: of.workspace });
  const judged = await judge(parts, context, { ...of, specs, story });
  session.verdict = judged.verdict;
  session.activeMs += judged.ms;
  session.transcript.push({ type: "verdict", turn: session.turn, ...verdictToWire(judged.verdict) });
  const red = redGates(judged.verdict);
  if (red.length === 0) return judged.tree;
  session.redRounds += 1;
  if (session.redRounds <= limits.repairRounds) {
    return redGatesText(red, limits.repairRounds - session.redRounds + 1);
  }
  const names = red.map((gate) => gate.name).join(", ");
  const text = `still red after ${limits.repairRounds} repair rounds: ${names}`;
  throw new FailureError(failure("gates_failed", text));
}

function claimOf(input: Json): Claim | string {
  if (!isJsonObject(input)) return "Not accepted: the arguments of `finish` must be one JSON object.";
  const outcome = OUTCOMES.find((one) => one === input.outcome);
  if (outcome === undefined) return `Not accepted: \`outcome\` must be one of ${OUTCOMES.join(", ")}.`;
  const summary = typeof input.summary === "string" ? input.summary.trim() : "";
  if (summary === "") return "Not accepted: `summary` must say what you did and how you checked it.";
  return { outcome, summary, answer: typeof input.answer === "string" ? input.answer : "" };
}

function answerProblem(session: Session, claim: Claim): string | null {
  const { minChars, mustMention } = session.opening.agent.validation;
  const answer = claim.answer === "" ? claim.summary : claim.answer;
  if (minChars !== undefined && answer.length < minChars) {
    return `the answer has ${answer.length} characters; at least ${minChars} are asked for in \`answer\`.`;
  }
  const said = answer.toLowerCase();
  const missing = (mustMention ?? []).filter((phrase) => !said.includes(phrase.toLowerCase()));
  if (missing.length === 0) return null;
  return `the answer must contain: ${missing.map((phrase) => `"${phrase}"`).join(", ")}.`;
}

function refused(text: string): Judgement {
  return { accepted: false, text };
}
