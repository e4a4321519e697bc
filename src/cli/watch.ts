import type { RunDetail } from "../http/api.ts";
import type { Client } from "./client.ts";
import type { Connection } from "./connect.ts";
import { evidenceOf } from "./evidence.ts";
import { EXIT, exitCodeOfRun } from "./exit.ts";
import { type FollowOptions, followRun } from "./follow.ts";
import { onStop } from "./interrupts.ts";
import { summaryText } from "./summary.ts";
import type { Terminal } from "./terminal.ts";

export interface WatchOptions extends Omit<FollowOptions, "client" | "signal"> {
  readonly connection: Connection;
}

/** How watching ended; `detail` is `null` when the run was left to others. */
export interface Watched {
  readonly code: number;
  readonly detail: RunDetail | null;
}

/** Follows a run to its end. Ctrl-C cancels the run, a second one leaves; SIGTERM leaves it to others. */
export async function watchRun(options: WatchOptions): Promise<Watched> {
  const { connection, run, terminal, command } = options;
  const { client } = connection;
  const left = new AbortController();
  const release = onStop((signal) => {
    if (signal === "SIGTERM") return left.abort();
    terminal.say("canceling; Ctrl-C again leaves at once");
    client.post(`/runs/${run}/cancel`, { reason: "Ctrl-C" }).catch((error: Error) => {
      terminal.say(`the run could not be canceled: ${error.message}`);
    });
  });
  try {
    const end = await followRun({ ...options, client, signal: left.signal });
    if (end === "left") {
      const goesOn =
        connection.house === null ? "goes on" : `stands still until ${command} start (or worker)`;
      terminal.say(`left; ${run} ${goesOn}`);
      return { code: EXIT.terminated, detail: null };
    }
    const detail = await client.get<RunDetail>(`/runs/${run}`);
    return { code: end === "ended" ? exitCodeOfRun(detail.status) : EXIT.waiting, detail };
  } finally {
    release();
  }
}

/** Tells what came of a run that was watched; `value` is what `--json` says. */
export async function tellOutcome(
  terminal: Terminal,
  of: { readonly client: Client; readonly detail: RunDetail; readonly value?: unknown },
): Promise<void> {
  const { client, detail, value = detail } = of;
  const evidence = await evidenceOf(client, detail);
  terminal.result(value, () => summaryText(terminal, detail, evidence));
}

/** How to go on with a run that was not waited for. */
export function hintWaiting(terminal: Terminal, detail: RunDetail, command: string): void {
  for (const approval of detail.approvals.filter(({ status }) => status === "pending")) {
    terminal.say(`Answer it with: ${command} answer ${approval.id} approve (or deny)`);
  }
  for (const wait of detail.waiting.filter(({ on }) => on === "signal")) {
    terminal.say(`Go on with: ${command} signal ${detail.id} ${wait.name}`);
  }
  if (detail.paused) terminal.say(`Go on with: ${command} resume ${detail.id}`);
}
