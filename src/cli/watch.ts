import type { RunDetail } from "../http/api.ts";
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

/**
 * Follows a run to its end and tells what came of it; resolves to the exit code. Ctrl-C cancels the run, a second
 * one leaves; SIGTERM leaves it to others.
 */
export async function watchRun(options: WatchOptions): Promise<number> {
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
      return EXIT.terminated;
    }
    const detail = await client.get<RunDetail>(`/runs/${run}`);
    const evidence = await evidenceOf(client, detail);
    terminal.result(detail, () => summaryText(terminal, detail, evidence));
    if (end === "ended") return exitCodeOfRun(detail.status);
    hintWaiting(terminal, detail, command);
    return EXIT.waiting;
  } finally {
    release();
  }
}

function hintWaiting(terminal: Terminal, detail: RunDetail, command: string): void {
  for (const approval of detail.approvals.filter(({ status }) => status === "pending")) {
    terminal.say(`Answer it with: ${command} answer ${approval.id} approve (or deny)`);
  }
  for (const wait of detail.waiting.filter(({ on }) => on === "signal")) {
    terminal.say(`Go on with: ${command} signal ${detail.id} ${wait.name}`);
  }
  if (detail.paused) terminal.say(`Go on with: ${command} resume ${detail.id}`);
}
