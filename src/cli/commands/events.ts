import type { Event, EventPage, LiveEvent, RunDetail } from "../../http/api.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import type { CommonOptions, Connection } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { onStop } from "../interrupts.ts";
import type { Terminal } from "../terminal.ts";
import { localTime, plain } from "../text.ts";
import { hintNobodyWorks, withConnection } from "../with-connection.ts";

interface Options {
  readonly follow?: boolean;
  readonly after: number;
  readonly live?: boolean;
}

export function addEvents({ program, act }: Cli): void {
  program
    .command("events <run>")
    .description("the journal of a run; with --json one event per line")
    .option("-f, --follow", "go on until the run ends")
    .option("--after <seq>", "only events after this one", wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
    .option(
      "--live",
      "with --follow: also what is seen now and not kept (words of models, output of commands)",
    )
    .action(act(events));
}

function events({ options, common, terminal }: Call<Options>, run: string): Promise<number> {
  const read = options.follow ? follow : pages;
  return withConnection(common, (connection) => read(connection, run, { options, common, terminal }));
}

interface Of {
  readonly options: Options;
  readonly common: CommonOptions;
  readonly terminal: Terminal;
}

async function pages({ client }: Connection, run: string, { options, terminal }: Of): Promise<number> {
  let { after } = options;
  for (;;) {
    const page = await client.get<EventPage>(`/runs/${encodeURIComponent(run)}/events?after=${after}`);
    for (const event of page.events) tell(terminal, event);
    if (page.events.length === 0) return EXIT.ok;
    after = page.next_after;
  }
}

async function follow(
  connection: Connection,
  run: string,
  { options, common, terminal }: Of,
): Promise<number> {
  const { client } = connection;
  const { ended_at } = await client.get<RunDetail>(`/runs/${encodeURIComponent(run)}`);
  if (ended_at === null) await hintNobodyWorks(connection, terminal, common);
  const left = new AbortController();
  let code: number = EXIT.ok;
  const release = onStop((signal) => {
    code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    left.abort();
  });
  try {
    for await (const event of client.events(run, { after: options.after, signal: left.signal })) {
      if (event.kind === "end") break;
      if (event.kind !== "live") tell(terminal, event.data as unknown as Event);
      else if (options.live) tellLive(terminal, event.data as unknown as LiveEvent);
    }
    return code;
  } finally {
    release();
  }
}

function tell(terminal: Terminal, event: Event): void {
  terminal.event(event, () => {
    const seq = terminal.style("dim", String(event.seq).padStart(5));
    const at = terminal.style("dim", localTime(event.at));
    const text =
      event.text === null
        ? terminal.style("dim", silent(event))
        : plain(event.text).replaceAll("\n", "\n        ");
    return `${seq}  ${at}  ${text}`;
  });
}

/** Of a fact that only the engine reads: its kind, and what it was about. */
function silent(event: Event): string {
  const label = event.data.label;
  const about = typeof label === "string" ? `: ${plain(label).split("\n")[0]}` : "";
  return `${event.step === null ? "" : `${event.step} `}${event.kind}${about}`;
}

function tellLive(terminal: Terminal, event: LiveEvent): void {
  terminal.event({ live: event }, () => {
    const { text } = event.data;
    const shown = typeof text === "string" ? plain(text) : JSON.stringify(event.data);
    return terminal.style("dim", `       ${event.step} ${event.name}: ${shown}`);
  });
}
