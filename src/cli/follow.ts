import { createInterface } from "node:readline/promises";
import type { Approval, Event, LiveEvent, RunDetail } from "../http/api.ts";
import type { Client } from "./client.ts";
import { createProgress, type Progress } from "./progress.ts";
import { lineOf, liveText } from "./story.ts";
import type { Terminal } from "./terminal.ts";
import { indent, plain } from "./text.ts";

export interface FollowOptions {
  readonly client: Client;
  readonly run: string;
  readonly terminal: Terminal;
  /** Deltas of models and output of commands too, and every effect. */
  readonly verbose: boolean;
  /** Come back as soon as the run waits for a person. */
  readonly noWait: boolean;
  readonly signal: AbortSignal;
  /** What is typed to run this program; for hints. */
  readonly command: string;
  /** ms since the epoch that elapsed time counts from; now when absent. */
  readonly since?: number;
  /** Events up to this seq were shown before. */
  readonly after?: number;
  /** Sees each fact before it is told. */
  onEvent?(event: Event): void;
}

/** `ended`: the run has; `waiting`: for a person, and that was not to be waited for; `left`: `signal` came first. */
export type FollowEnd = "ended" | "waiting" | "left";

const MARGIN = 14;
/** Kinds after which a run may stand elsewhere than before. */
const MOVES = /^(run_|step_|approval_|cancel_)/;

/** Shows a run as it goes, on stderr. */
export async function followRun(options: FollowOptions): Promise<FollowEnd> {
  const { client, run, terminal, verbose } = options;
  const progress = createProgress(terminal, options.since ?? Date.now());
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, options.signal]);
  const width = Math.max(40, terminal.width - MARGIN);
  const asking = new Questions(options, progress);
  try {
    for await (const event of client.events(run, { after: options.after ?? 0, signal })) {
      if (event.kind === "end") return "ended";
      if (event.kind === "live") {
        if (verbose) progress.stream(liveText(event.data as unknown as LiveEvent));
        continue;
      }
      const fact = event.data as unknown as Event;
      options.onEvent?.(fact);
      const detail = MOVES.test(fact.kind) ? await placeOf(client, run) : null;
      if (detail !== null) progress.move(detail.progress);
      const line = lineOf(fact, { width, verbose });
      if (line !== null) progress.line(line);
      if (detail === null) continue;
      if (options.noWait && waitsForPerson(detail)) return "waiting";
      asking.look(detail);
    }
    return options.signal.aborted ? "left" : "ended";
  } finally {
    stop.abort();
    asking.close();
    progress.close();
  }
}

function placeOf(client: Client, run: string): Promise<RunDetail> {
  return client.get<RunDetail>(`/runs/${encodeURIComponent(run)}`);
}

/** Approvals and signals come from people; timers and child runs come by themselves. */
export function waitsForPerson(detail: RunDetail): boolean {
  const works = detail.steps.some((step) => step.status === "running" && step.instances === null);
  return !works && (detail.paused || detail.waiting.some(({ on }) => on === "approval" || on === "signal"));
}

/** Says what a run waits for, once each; where a person is there, asks. */
class Questions {
  readonly #options: FollowOptions;
  readonly #progress: Progress;
  readonly #seen = new Set<string>();
  /** Approvals that were shown, and what takes their question away once they are answered elsewhere. */
  readonly #asked = new Map<string, AbortController>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: FollowOptions, progress: Progress) {
    this.#options = options;
    this.#progress = progress;
  }

  look(detail: RunDetail): void {
    for (const approval of detail.approvals) {
      const known = this.#asked.get(approval.id);
      if (approval.status !== "pending") known?.abort();
      if (approval.status !== "pending" || known) continue;
      const asked = new AbortController();
      this.#asked.set(approval.id, asked);
      this.#last = this.#last.then(() => this.#ask(approval, asked.signal));
    }
    for (const wait of detail.waiting) {
      const key = `${wait.step} ${wait.on} ${wait.name}`;
      if (wait.on !== "signal" || this.#seen.has(key)) continue;
      this.#seen.add(key);
      this.#hint(`${this.#options.command} signal ${detail.id} ${wait.name}`);
    }
    if (detail.paused && !this.#seen.has("paused")) {
      this.#seen.add("paused");
      this.#hint(`${this.#options.command} resume ${detail.id}`);
    }
  }

  close(): void {
    for (const asked of this.#asked.values()) asked.abort();
  }

  #hint(text: string): void {
    this.#progress.line({ text: `go on with: ${text}`, tone: "ask" });
  }

  async #ask(approval: Approval, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { terminal, client, command } = this.#options;
    if (!terminal.interactive) {
      this.#hint(`${command} answer ${approval.id} approve (or deny)`);
      return;
    }
    await this.#progress.aside(async () => {
      terminal.say(describeApproval(terminal, approval));
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      try {
        // Ctrl-C at the question is meant for the run.
        lines.on("SIGINT", () => process.emit("SIGINT", "SIGINT"));
        for (;;) {
          const said = (await lines.question("Approve? [y/n] ", { signal })).trim().toLowerCase();
          const answer = /^y(es)?$/.test(said) ? "approved" : /^n(o)?$/.test(said) ? "denied" : null;
          if (answer === null) continue;
          await client.post(`/approvals/${encodeURIComponent(approval.id)}/answer`, { answer });
          return;
        }
      } catch (error) {
        // Answered elsewhere, or the run has ended: the events say so.
        if (!signal.aborted) terminal.say(`not answered: ${(error as Error).message}`);
      } finally {
        lines.close();
      }
    });
  }
}

export function describeApproval(terminal: Terminal, approval: Approval): string {
  const details =
    typeof approval.details === "string" ? approval.details : JSON.stringify(approval.details, null, 2);
  const head = `${terminal.mark("bold", plain(approval.title))} (risk: ${approval.risk})`;
  return `${head}\n${indent(plain(details ?? ""))}`;
}
