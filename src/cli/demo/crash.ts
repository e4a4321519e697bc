import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Event, EventPage } from "../../http/api.ts";
import type { Client } from "../client.ts";
import type { Connection } from "../connect.ts";
import { EXIT } from "../exit.ts";
import type { Terminal } from "../terminal.ts";
import { plural } from "../text.ts";
import { type Watched, watchRun } from "../watch.ts";

export interface CrashOptions {
  readonly connection: Connection;
  readonly run: string;
  readonly terminal: Terminal;
  readonly command: string;
  readonly verbose: boolean;
  readonly dataDir: string;
  /** For the processes that drive. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How long a worker may take to end once it was asked to. */
const STOP_MS = 15_000;
const EDIT = /^(edit|write|apply_patch) /;

/** What the journal says afterwards. */
export interface CrashProof {
  /** Effects that are recorded. */
  readonly effects: number;
  /** Of them, those from before the kill. */
  readonly before_kill: number;
  /** Keys of effects that are recorded more than once: there must be none. */
  readonly repeated: readonly string[];
  /** How often another process took the run over. */
  readonly taken_over: number;
}

/**
 * Lets another process drive the run, kills that without warning in the middle of a step, once a file was changed,
 * and lets a second one go on. The proof is `null` when the run did not complete.
 */
export async function crashAndGoOn(
  options: CrashOptions,
): Promise<Watched & { readonly proof: CrashProof | null }> {
  const { connection, run, terminal } = options;
  const state = { worker: startWorker(options), edited: false, killedAt: 0, restarted: Promise.resolve() };
  const onEvent = (event: Event) => {
    if (event.kind === "effect_recorded" && EDIT.test(String(event.data.label))) state.edited = true;
    const turnEnded = event.kind === "noted" && event.data.name === "turn_finished";
    if (state.killedAt > 0 || !state.edited || !turnEnded) return;
    state.killedAt = event.seq;
    state.restarted = killAndRestart();
  };
  const killAndRestart = async () => {
    const { pid } = state.worker;
    const dead = once(state.worker, "exit");
    state.worker.kill("SIGKILL");
    await dead;
    terminal.say(
      terminal.mark(
        "red",
        `\n  ✗ killed the process ${pid} that drove the run (SIGKILL), in the middle of the step\n`,
      ),
    );
    state.worker = startWorker(options);
    terminal.say(
      terminal.mark("green", `  ✓ started another one, ${state.worker.pid}: it goes on from the journal\n`),
    );
  };
  try {
    const watched = await watchRun({ ...options, noWait: false, onEvent });
    await state.restarted;
    if (watched.code !== EXIT.ok) return { ...watched, proof: null };
    const proof = await readProof(connection.client, run, state.killedAt);
    return { ...watched, code: tellProof(terminal, proof), proof };
  } finally {
    await state.restarted;
    await stopWorker(state.worker);
  }
}

function startWorker({ dataDir, env }: CrashOptions): ChildProcess {
  const [, main = ""] = process.argv;
  const args = [...process.execArgv, main, "worker", "--json", "--until-stdin-ends", "--data", dataDir];
  return spawn(process.execPath, args, {
    env: { ...process.env, AGENT_RUNNER_LOG: "error", ...env },
    stdio: ["pipe", "ignore", "inherit"],
    // Out of reach of Ctrl-C, which is meant for the run: the worker ends with its stdin.
    detached: process.platform !== "win32",
    windowsHide: true,
  });
}

async function stopWorker(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, "exit");
  worker.kill("SIGTERM");
  const timer = setTimeout(() => worker.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(timer);
}

/** Reads the journal back and counts: every effect must be recorded once. */
async function readProof(client: Client, run: string, killedAt: number): Promise<CrashProof> {
  const counts = new Map<string, number>();
  let before = 0;
  let takenOver = 0;
  for await (const event of journal(client, run)) {
    if (event.kind === "run_resumed_by") takenOver += 1;
    if (event.kind !== "effect_recorded") continue;
    const key = `${event.step} ${String(event.data.attempt)} ${String(event.data.key)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (event.seq <= killedAt) before += 1;
  }
  const repeated = [...counts].filter(([, count]) => count > 1).map(([key]) => key);
  return { effects: counts.size, before_kill: before, repeated, taken_over: takenOver };
}

function tellProof(terminal: Terminal, proof: CrashProof): number {
  if (proof.before_kill === 0 || proof.taken_over === 0) {
    terminal.say("The run ended before its process could be killed, so this time it shows nothing.");
    return EXIT.failed;
  }
  if (proof.repeated.length > 0) {
    terminal.say(terminal.mark("red", `Done more than once: ${proof.repeated.join(", ")}`));
    return EXIT.failed;
  }
  const line = `${plural(proof.effects, "effect")} in the journal, each recorded once; the ${proof.before_kill} from before the kill were not repeated.`;
  terminal.say(`\n${terminal.mark("green", line)}`);
  return EXIT.ok;
}

async function* journal(client: Client, run: string): AsyncGenerator<Event> {
  for (let after = 0; ; ) {
    const page = await client.get<EventPage>(`/runs/${run}/events?after=${after}`);
    yield* page.events;
    if (page.events.length === 0) return;
    after = page.next_after;
  }
}
