import { z } from "zod";
import type { Json, JsonObject } from "../../base/json.ts";
import type { Action, ActionContext } from "../../contracts/action.ts";
import { FailureError, fail, failure, ok, type Result } from "../../domain/errors.ts";
import { plain } from "./effects.ts";

const SHOWN_PROBLEMS = 5;

export interface ActionDefinition<I extends z.ZodType, O extends z.ZodType> {
  /** What `uses` names: `[a-z][a-z0-9_.-]*`. */
  readonly name: string;
  readonly description: string;
  readonly input: I;
  readonly output: O;
  perform(input: z.output<I>, context: ActionContext): Promise<z.input<O>>;
}

/** An action from zod schemas: `with` is checked by them before the step, the output after it. */
export function defineAction<I extends z.ZodType, O extends z.ZodType>(
  definition: ActionDefinition<I, O>,
): Action {
  const { name, description, input, output } = definition;
  if (!/^[a-z][a-z0-9_.-]*$/.test(name)) {
    throw new FailureError(
      failure("invalid_request", `action name "${name}": begin with a-z, then a-z, 0-9, "_", "." or "-"`),
    );
  }
  return {
    name,
    description,
    input: z.toJSONSchema(input, { io: "input" }) as JsonObject,
    output: z.toJSONSchema(output, { io: "output" }) as JsonObject,
    parse(value: Json): Result<Json> {
      const parsed = input.safeParse(value);
      if (parsed.success) return ok(plain(parsed.data));
      return fail("invalid_input", `the input of "${name}": ${problemsOf(parsed.error)}`);
    },
    async perform(value: Json, context: ActionContext): Promise<Json> {
      const said = await definition.perform(value as z.output<I>, context);
      const checked = output.safeParse(said);
      if (checked.success) return plain(checked.data);
      throw new FailureError(
        failure("action_crashed", `"${name}" returned what its output forbids: ${problemsOf(checked.error)}`),
      );
    },
  };
}

/** The first problems of a refused value, each with its path. */
export function problemsOf(error: z.ZodError): string {
  const shown = error.issues.slice(0, SHOWN_PROBLEMS).map((issue) => {
    const path = issue.path.join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  const more = error.issues.length - shown.length;
  return shown.join("; ") + (more > 0 ? `; and ${more} more` : "");
}
