import { canonicalJson, type JsonObject } from "../../base/json.ts";
import type { ActionContext } from "../../contracts/action.ts";

/** A step's own lines in the journal. */
export interface Story {
  note(name: string, data: JsonObject): void;
}

/**
 * A resumed step is performed from its top, over what is already recorded: lines that the journal has are not
 * written again. `data` must therefore tell two lines of the same name apart (by turn, by gate).
 */
export function storyOf(context: ActionContext): Story {
  const { id, attempt } = context.step;
  const told = new Set<string>();
  for (const fact of context.facts()) {
    if (fact.kind === "noted" && fact.step === id) told.add(lineOf(fact.name, fact.data));
  }
  return {
    note(name, data) {
      const line: JsonObject = { attempt, ...data };
      const text = lineOf(name, line);
      if (told.has(text)) return;
      told.add(text);
      context.note(name, line);
    },
  };
}

function lineOf(name: string, data: JsonObject): string {
  return `${name} ${canonicalJson(data)}`;
}
