import type { z } from "zod";
import { formatDuration } from "../../base/duration.ts";
import type { QueueSchema } from "../../http/api.ts";
import type { Call, Cli } from "../command.ts";
import { EXIT } from "../exit.ts";
import { type Terminal, table } from "../terminal.ts";
import { plain, plural } from "../text.ts";
import { withConnection } from "../with-connection.ts";

type Queue = z.infer<typeof QueueSchema>;

export function addQueue({ program, act }: Cli): void {
  program
    .command("queue")
    .description("how full the queue is, how long it takes, and what was turned away")
    .action(act(queue));
}

function queue({ common, terminal }: Call<object>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const state = await client.get<Queue>("/v1/queue");
    terminal.result(state, () => queueText(terminal, state));
    return EXIT.ok;
  });
}

const waitText = (ms: number | null) => (ms === null ? "unknown" : formatDuration(ms));

function queueText(terminal: Terminal, state: Queue): string {
  const { queued, max_queued, ready, parked, leased, resting, workers, slots, service_ms } = state;
  const takes = service_ms === null ? "" : `, a run takes ${formatDuration(service_ms)}`;
  const lines = [
    `${queued} of ${max_queued} waiting; ${ready} ready, ${parked} parked, ${leased} at work, ${resting} resting`,
    `${plural(workers, "worker")} with ${plural(slots, "slot")}${takes}`,
  ];
  const classes = state.classes.map((one) => [
    one.class,
    String(one.priority),
    String(one.queued),
    waitText(one.estimated_wait_ms),
  ]);
  lines.push("", headed(terminal, [["CLASS", "PRIORITY", "WAITING", "WAIT"], ...classes]));
  const tenants = state.tenants.map((one) => [
    plain(one.tenant),
    String(one.queued),
    String(one.max_queued ?? ""),
    String(one.max_running ?? ""),
    String(one.weight),
  ]);
  if (tenants.length > 0) {
    lines.push("", headed(terminal, [["TENANT", "WAITING", "MOST", "AT WORK", "WEIGHT"], ...tenants]));
  }
  for (const { needs, queued: waiting } of state.unserved) {
    const start = `agent-runner start --worker ${needs.map((need) => `--label ${need}`).join(" ")}`;
    const told = `${plural(waiting, "run")} waiting for ${needs.join(", ")}, which no worker has: ${start}`;
    lines.push("", terminal.style("yellow", plain(told)));
  }
  const { queue_full, tenant_queue_full, concurrency_conflict } = state.refused;
  const refused = [
    `${queue_full} for a full queue`,
    `${tenant_queue_full} for a full tenant`,
    `${concurrency_conflict} for a conflict`,
  ];
  lines.push("", `refused by the store: ${refused.join(", ")}; dropped: ${state.dropped}`);
  for (const one of state.here.refused) {
    lines.push(`turned away here: ${one.count} of class ${one.class} by ${one.scope}`);
  }
  return lines.join("\n");
}

function headed(terminal: Terminal, rows: readonly (readonly string[])[]): string {
  const [head = "", ...rest] = table(rows.map((row) => [...row])).split("\n");
  return [terminal.style("dim", head), ...rest].join("\n");
}
