import type { Fact } from "../../src/domain/fact.ts";

/** A line of the world outside, in the order in which things happened there. */
export interface Happened {
  readonly id: string;
  readonly effect: string;
  /** Tells two happenings of one effect apart; its recorded outcome names the one that counts. */
  readonly nonce: string;
}

/** What a journal and the world outside disagree on. */
export function judgeRun(
  run: string,
  facts: readonly Fact[],
  happened: ReadonlyMap<string, Happened[]>,
): string[] {
  const wrong: string[] = [];
  facts.forEach((fact, index) => {
    if (fact.seq !== index + 1) wrong.push(`${run}: seq ${fact.seq} at place ${index + 1}`);
  });
  const ends = facts.filter((fact) => /^run_(completed|failed|canceled)$/.test(fact.kind));
  if (ends.length !== 1) wrong.push(`${run}: ${ends.length} ends`);
  for (const fact of facts) {
    // The only failure that a fault may leave: a person refused to repeat what nobody knows of.
    if (fact.kind === "step_failed" && fact.failure.code !== "uncertain_effect")
      wrong.push(`${run}: ${fact.step} failed: ${JSON.stringify(fact.failure)}`);
    if (fact.kind !== "effect_recorded" || !fact.result.ok) continue;
    const id = `${run}/${fact.step}/${fact.key}`;
    const times = happened.get(id) ?? [];
    const { nonce } = fact.result.value as { readonly nonce: string };
    const at = times.findIndex((one) => one.nonce === nonce);
    if (at < 0) wrong.push(`${id} is recorded but never happened`);
    else if (at < times.length - 1) wrong.push(`${id} happened again after it was recorded`);
  }
  return wrong;
}

/** What must never happen twice, whatever was recorded. */
export function judgeWorld(happened: ReadonlyMap<string, Happened[]>): string[] {
  const wrong: string[] = [];
  for (const [id, times] of happened) {
    const effect = times[0]?.effect;
    if ((effect === "manual" || effect === "query") && times.length > 1)
      wrong.push(`${id} (${effect}) happened ${times.length} times`);
  }
  return wrong;
}
