import { canonicalJson, type JsonObject } from "../../base/json.ts";
import { type Failure, fail, failure, ok, type Result } from "../../domain/errors.ts";
import {
  INTENT,
  type Intent,
  type IntentDecision,
  likelyCandidates,
  routeIntent,
  type ScoredCandidate,
} from "../../domain/intent.ts";
import { inputsFrom, readText } from "../../domain/intent-inputs.ts";
import { LIMITS } from "../../domain/limits.ts";
import { asResult } from "../as-result.ts";
import { ANYBODY, type Caller } from "../caller.ts";
import { checkText } from "../check-json.ts";
import type { Parts } from "../parts.ts";
import { checkStart, enter, promisesIn, type StartRun, startRun } from "../runs/start-run.ts";
import { findWorkflow } from "../workflows/find-workflow.ts";
import { intentRoutes, type Route, routeToAgent, routeToWorkflow } from "./candidates.ts";
import { type FoundAct, findAct } from "./find-act.ts";

/** A request: in free words, or to a workflow or an agent by name; both may be given. */
export interface Act {
  readonly text?: string;
  /** Name (its newest version) or hash. */
  readonly workflow?: string;
  readonly agent?: string;
  /** Go before what the text says. */
  readonly inputs: JsonObject;
  readonly title?: string;
  readonly deadline?: string;
  readonly startBy?: string;
  readonly class?: string;
  readonly priority?: number;
  readonly idempotencyKey?: string;
  readonly budget?: NonNullable<StartRun["budget"]>;
  /** For whom; `ANYBODY` when absent. */
  readonly caller?: Caller;
}

export interface Acted extends FoundAct {
  /** False when the idempotency key had started it before. */
  readonly created: boolean;
}

type Needs = Pick<
  Parts,
  | "clock"
  | "newId"
  | "hash"
  | "store"
  | "reader"
  | "workflows"
  | "checkInputs"
  | "expressions"
  | "agents"
  | "intentJudge"
  | "desk"
>;

const ID_CHARS = 26;

/**
 * Finds what a request is for and starts it, once per idempotency key. What was considered, with every score, is
 * frozen in the run. Fails with `intent_ambiguous` or `intent_unknown`, and starts nothing, when it is not sure.
 */
export function act(parts: Needs, request: Act): Promise<Result<Acted>> {
  return asResult(async () => {
    const shape = checkAct(request);
    if (!shape.ok) return shape;
    const bodyHash = hashOf(parts, request);
    const id = idOf(parts, request);
    const { idempotencyKey: key, caller = ANYBODY } = request;
    // What was sent before is answered with its run, whatever the same text would be routed to by now.
    const before = await enter(parts, caller, key === undefined ? null : { key, bodyHash });
    if (before !== null) return before.ok ? answer(parts, before.value.run.id, false) : before;
    const routed = await routeOf(parts, request);
    if (!routed.ok) return routed;
    const { route, intent } = routed.value;
    const started = await startRun(parts, startOf(request, route), { id, intent, bodyHash });
    if (!started.ok) return { ok: false, failure: withRoute(started.failure, route) };
    return answer(parts, started.value.run.id, started.value.created);
  });
}

async function answer(parts: Needs, id: string, created: boolean): Promise<Result<Acted>> {
  const found = await findAct(parts, id);
  return found.ok ? ok({ ...found.value, created }) : found;
}

function checkAct(request: Act): Result<null> {
  const { text, workflow, agent } = request;
  if (text === undefined && workflow === undefined && agent === undefined) {
    const message = "text is missing; say what is wanted, or name a workflow or an agent.";
    return fail("invalid_request", message, { field: "text" });
  }
  if (text !== undefined) {
    const words = checkText("text", text, LIMITS.textChars);
    if (!words.ok) return words;
  }
  return checkStart(request);
}

function hashOf(parts: Pick<Parts, "hash">, request: Act): string {
  const { text = null, workflow = null, agent = null, inputs } = request;
  const { title = null, deadline = null, priority = null } = request;
  return parts.hash(
    canonicalJson({
      act: { text, workflow, agent, inputs, title, deadline, priority, ...promisesIn(request) },
    }),
  );
}

/** Made from the idempotency key where there is one, so that its run is found before anything is decided anew. */
function idOf(parts: Pick<Parts, "newId" | "hash">, { idempotencyKey: key, caller = ANYBODY }: Act): string {
  if (key === undefined) return parts.newId("run");
  return `run_${parts.hash(canonicalJson({ act: [caller.tenant, key] })).slice(0, ID_CHARS)}`;
}

interface Routed {
  readonly route: Route;
  readonly intent: Intent;
}

async function routeOf(parts: Needs, request: Act): Promise<Result<Routed>> {
  const { workflow, agent } = request;
  if (workflow === undefined && agent === undefined) return routeText(parts, request);
  const found = workflow === undefined ? null : await findWorkflow(parts, workflow);
  if (found !== null && !found.ok) return found;
  const through = found?.value.workflow ?? null;
  const routed =
    agent === undefined && through !== null
      ? ok(routeToWorkflow(through))
      : await routeToAgent(parts, agent ?? "", through);
  if (!routed.ok) return routed;
  const { kind, name } = routed.value.candidate;
  const intent: Intent = {
    text: request.text ?? null,
    chosen: { kind, name },
    candidates: [{ kind, name, score: 1, reasons: ["named in the request"] }],
    threshold: INTENT.threshold,
    by: "named",
  };
  return ok({ route: routed.value, intent });
}

async function routeText(parts: Needs, { text = "", inputs }: Act): Promise<Result<Routed>> {
  const routes = await intentRoutes(parts);
  const decision = routeIntent(
    { text, inputs },
    routes.map(({ candidate }) => candidate),
  );
  const { candidates, threshold, kind } = decision;
  const frozen = { text, candidates, threshold };
  const [first] = candidates;
  if (kind === "none" || first === undefined) return { ok: false, failure: unknownIntent(decision) };
  if (kind === "chosen") {
    const route = routeNamed(routes, first);
    return ok({ route, intent: { ...frozen, chosen: chosenOf(route), by: "rules" } });
  }
  const offered = likelyCandidates(decision, LIMITS.intentOffers);
  if (parts.intentJudge === undefined) return { ok: false, failure: ambiguousIntent(offered, decision) };
  const question = { text, candidates: offered.map((one) => routeNamed(routes, one).candidate) };
  const verdict = await parts.intentJudge(question);
  if (!verdict.ok) return { ok: false, failure: ambiguousIntent(offered, decision, verdict.failure) };
  const route = routeNamed(routes, verdict.value.candidate);
  const intent = { ...frozen, chosen: chosenOf(route), by: "model", model: verdict.value.model } as const;
  return ok({ route, intent });
}

function routeNamed(routes: readonly Route[], wanted: Intent["chosen"]): Route {
  const found = routes.find(
    ({ candidate }) => candidate.kind === wanted.kind && candidate.name === wanted.name,
  );
  if (found === undefined) throw new Error(`no route to ${wanted.kind} ${wanted.name}, which was scored`);
  return found;
}

function chosenOf({ candidate }: Route): Intent["chosen"] {
  return { kind: candidate.kind, name: candidate.name };
}

function startOf(request: Act, { candidate, workflow, fixed }: Route): StartRun {
  const { text, title, inputs: _inputs, workflow: _workflow, agent: _agent, ...rest } = request;
  const read = text === undefined ? null : readText(text);
  const heading = title ?? text?.trim().split("\n")[0]?.slice(0, LIMITS.titleChars);
  return {
    workflow: workflow.hash,
    inputs: { ...inputsFrom(candidate.inputs, read, request.inputs), ...fixed },
    ...(heading === undefined ? {} : { title: heading }),
    ...rest,
  };
}

/** Who did not name the workflow must be told whose input it is that does not fit. */
function withRoute(value: Failure, route: Route): Failure {
  if (value.code !== "invalid_input") return value;
  const { kind, name } = chosenOf(route);
  const details = { route: { kind, name }, problems: value.details ?? null };
  return { ...value, message: `This is for ${kind} ${name}. ${value.message}`, details };
}

function ambiguousIntent(
  offered: readonly ScoredCandidate[],
  { threshold }: IntentDecision,
  judge?: Failure,
): Failure {
  const names = offered.map(({ kind, name, score }) => `${kind} ${name} (${score})`).join(", ");
  const tried = judge === undefined ? "" : ` A model was asked and did not decide: ${judge.message}`;
  return failure("intent_ambiguous", `Which of these is meant: ${names}?${tried}`, {
    candidates: offered.map((one) => ({ ...one })),
    threshold,
    margin: INTENT.margin,
  });
}

function unknownIntent({ candidates, threshold }: IntentDecision): Failure {
  const known = candidates.map(({ kind, name }) => ({ kind, name }));
  const names = known.map(({ kind, name }) => `${kind} ${name}`).join(", ");
  return failure("intent_unknown", `Nothing here is for this request. There is: ${names || "nothing yet"}.`, {
    candidates: known,
    threshold,
  });
}
