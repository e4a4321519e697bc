import type { TaskReading } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { readTask } from "../inputs.ts";
import { withConnection } from "../with-connection.ts";

const HELP = `
Shows how a loosely written task is read, before it is given to a workflow: by MEDIATOR_MODEL where that is set, by
rules otherwise. With --json the TaskSpec can be corrected and passed on.

  agent-runner task "Fix the crash on an empty password. It should show an error. Run npm test"
  agent-runner --json task @request.md`;

export function addTask({ program, act }: Cli): void {
  program
    .command("task <text>")
    .description("read a loosely written task into its parts; @FILE takes the text of a file")
    .addHelpText("after", HELP)
    .action(act(task));
}

async function task({ common, terminal }: Call<object>, said: string): Promise<number> {
  const text = await readTask(said);
  return withConnection(common, async ({ client }) => {
    const read = await client.post<TaskReading>("/v1/tasks/read", { text });
    terminal.result(read, () => shown(read));
    return EXIT.ok;
  });
}

function shown({ task: spec, by, model, reason }: TaskReading): string {
  const list = (title: string, items: readonly string[]) =>
    items.length === 0 ? [] : ["", title, ...items.map((item) => `  - ${item}`)];
  return [
    spec.title,
    ...list("Changes wanted", spec.changes),
    ...list("Context", spec.context),
    ...list("Accepted when", spec.acceptance),
    ...list("Expected in", spec.hints.paths),
    ...list("Commands that show success", spec.hints.checks),
    "",
    by === "model" ? `(read by ${model})` : `(read by rules: ${reason})`,
  ].join("\n");
}
