import type { Json } from "../../base/json.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Run } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import type { Connection } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { readText } from "../inputs.ts";
import { styled } from "../summary.ts";
import { hintNobodyWorks, withConnection } from "../with-connection.ts";

/** cancel, pause, resume, signal, reply: each leaves a message that the run acts on at its next safe point. */
export function addMessages({ program, act }: Cli): void {
  program
    .command("cancel <run>")
    .description("cancel a run: its processes and model calls end, what was done stays")
    .option("--reason <text>", "why; kept with the run")
    .action(
      act((call: Call<{ reason?: string }>, run: string) => {
        const { reason } = call.options;
        return post(call, `/runs/${encodeURIComponent(run)}/cancel`, reason === undefined ? {} : { reason });
      }),
    );
  program
    .command("pause <run>")
    .description("pause a run: no further step begins")
    .action(
      act((call: Call<object>, run: string) => post(call, `/runs/${encodeURIComponent(run)}/pause`, {})),
    );
  program
    .command("resume <run>")
    .description("resume a paused run")
    .action(
      act((call: Call<object>, run: string) => post(call, `/runs/${encodeURIComponent(run)}/resume`, {})),
    );
  program
    .command("signal <run> <name>")
    .description("send a run a signal; it is kept until a step waits for it")
    .option("--body <json>", "what it carries, as JSON", "null")
    .option("--id <id>", "the same id again changes nothing")
    .action(
      act((call: Call<{ body: string; id?: string }>, run: string, name: string) => {
        const { id } = call.options;
        const body = jsonOf(call.options.body);
        return post(call, `/runs/${encodeURIComponent(run)}/signals`, {
          name,
          body,
          ...(id === undefined ? {} : { id }),
        });
      }),
    );
  program
    .command("reply <run> <text>")
    .description("say something to the agent of a live run; @FILE takes the text of a file")
    .action(
      act(async (call: Call<object>, run: string, said: string) => {
        const text = said.startsWith("@") ? await readText(said.slice(1), "reply") : said;
        return post(call, `/runs/${encodeURIComponent(run)}/replies`, { text });
      }),
    );
}

function post({ common, terminal }: Call<object>, path: string, body: Json): Promise<number> {
  const say = async (connection: Connection) => {
    const run = await connection.client.post<Run>(path, body);
    terminal.result(run, () => `${run.id} ${styled(terminal, run.status)}`);
    await hintNobodyWorks(connection, terminal, common);
    return EXIT.ok;
  };
  return withConnection(common, say, { person: true });
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const message = `--body is not JSON: ${(error as Error).message}; a text needs quotes of its own: '"text"'`;
    throw new FailureError(failure("invalid_usage", message));
  }
}
