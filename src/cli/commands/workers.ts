import { formatDuration } from "../../base/duration.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { WorkerList } from "../../http/api.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import { EXIT } from "../exit.ts";
import { table } from "../terminal.ts";
import { oneLine } from "../text.ts";
import { withConnection } from "../with-connection.ts";

const LABELS_WIDTH = 60;

export function addWorkers({ program, act }: Cli): void {
  const workers = program
    .command("workers")
    .description("the processes that work on the database: roles, slots, runs held, labels")
    .action(act(list));
  workers
    .command("resize")
    .description("have a worker, of any process, drive another number of runs at a time; fewer ends none")
    .argument("<id>", "as listed")
    .argument("<slots>", "runs driven at the same time", wholeNumber(1, LIMITS.mostSlots))
    .action(act(resize));
}

function list({ common, terminal }: Call<object>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const found = await client.get<WorkerList>("/v1/workers");
    terminal.result(found, () => (found.workers.length === 0 ? "nobody works here now" : listText(found)));
    return EXIT.ok;
  });
}

function listText({ workers }: WorkerList): string {
  const rows = workers.map((one) => [
    one.id,
    `${one.host}:${one.pid}`,
    one.roles.join("+") + (one.leads.length > 0 ? " *" : ""),
    one.roles.includes("worker") ? `${one.held}/${one.slots}` : "-",
    one.draining ? "draining" : one.silent_ms > LIMITS.leaseTtlMs ? "silent" : "ok",
    `${formatDuration(one.silent_ms)} ago`,
    oneLine(one.labels.join(" "), LABELS_WIDTH),
  ]);
  return table([["ID", "PROCESS", "ROLES", "RUNS", "STATE", "HEARD", "LABELS"], ...rows]);
}

function resize({ common, terminal }: Call<object>, id: string, slots: number): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const path = `/v1/workers/${encodeURIComponent(id)}`;
    const answer = await client.call<object>({ method: "PATCH", path, body: { slots } });
    terminal.result(answer, () => `${id} is told to have ${slots} slots`);
    return EXIT.ok;
  });
}
