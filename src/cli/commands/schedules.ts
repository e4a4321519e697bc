import type { JsonObject } from "../../base/json.ts";
import { CATCH_UP, OVERLAP } from "../../domain/schedule.ts";
import type { Schedule, ScheduleDetail, SchedulePage, Workflow } from "../../http/api.ts";
import { type Call, type Cli, collect, wholeNumber } from "../command.ts";
import type { Connection } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { readInputs } from "../inputs.ts";
import { table } from "../terminal.ts";
import { localTime, oneLine } from "../text.ts";
import { hintNobodyWorks, withConnection } from "../with-connection.ts";

interface AddOptions {
  readonly cron: string;
  readonly timezone?: string;
  readonly catchUp?: string;
  readonly jitter?: string;
  readonly overlap?: string;
  readonly input?: readonly string[];
  readonly inputs?: string;
  readonly title?: string;
}

const MOST_AHEAD = 50;
const INPUTS_WIDTH = 60;

export function addSchedules({ program, act }: Cli): void {
  const schedules = program.command("schedules").description("what starts by the clock");
  schedules
    .command("list", { isDefault: true })
    .description("all schedules, those of workflow files and those that were added")
    .option("--workflow <name>", "of one workflow")
    .action(act(list));
  schedules
    .command("add <workflow>")
    .description("start a workflow by the clock from now on; its newest version each time")
    .requiredOption(
      "--cron <expression>",
      "minute, hour, day of month, month, day of week: '0 3 * * MON-FRI'",
    )
    .option("--timezone <name>", "e.g. Europe/Berlin (default: UTC)")
    .option("--catch-up <what>", `of missed due times: ${CATCH_UP.join(", ")} (default: last)`)
    .option("--jitter <duration>", "each starts up to so much later")
    .option("--overlap <what>", `while an earlier run is open: ${OVERLAP.join(", ")} (default: skip)`)
    .option("-i, --input <key=value>", "an input; may be given several times", collect)
    .option("--inputs <file>", "inputs as a JSON object; - reads stdin")
    .option("--title <text>", "of its runs")
    .action(act(add));
  for (const [name, method, description] of [
    ["pause", "POST", "let due times go until it is resumed"],
    ["resume", "POST", "go on from now; what was due meanwhile is not made up for"],
    ["remove", "DELETE", "end a schedule that was added; those of a file are paused, or taken out of it"],
  ] as const) {
    schedules
      .command(`${name} <id>`)
      .description(description)
      .action(
        act((call: Call<object>, id: string) => {
          const change = async ({ client }: Connection) => {
            const path = `/v1/schedules/${encodeURIComponent(id)}${method === "POST" ? `/${name}` : ""}`;
            const changed = await client.call<Schedule>({ method, path });
            call.terminal.result(changed, () => `${changed.id} is ${changed.status}${nextText(changed)}`);
            return EXIT.ok;
          };
          return withConnection(call.common, change, { person: true });
        }),
      );
  }
  schedules
    .command("next <id>")
    .description("when it starts next, what it did, and who changed it")
    .option("-n, --count <n>", "so many due times ahead", wholeNumber(1, MOST_AHEAD), 5)
    .action(act(next));
}

function list({ common, terminal, options }: Call<{ readonly workflow?: string }>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const schedules: Schedule[] = [];
    const of = options.workflow === undefined ? "" : `&workflow=${encodeURIComponent(options.workflow)}`;
    for (let after: string | null = ""; after !== null; ) {
      const from: string = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
      const page: SchedulePage = await client.get<SchedulePage>(`/v1/schedules?limit=200${of}${from}`);
      schedules.push(...page.schedules);
      after = page.next_after;
    }
    terminal.result({ schedules }, () => {
      if (schedules.length === 0) return "Nothing starts by the clock.";
      const rows = schedules.map((one) => [
        one.id,
        one.workflow,
        one.status,
        one.cron,
        one.timezone,
        localTime(one.next[0]?.start_at ?? null),
        one.origin,
      ]);
      return table([["SCHEDULE", "WORKFLOW", "STATUS", "CRON", "ZONE", "NEXT (HERE)", "FROM"], ...rows]);
    });
    return EXIT.ok;
  });
}

function add({ common, terminal, options }: Call<AddOptions>, workflow: string): Promise<number> {
  const make = async (connection: Connection) => {
    const { client } = connection;
    const { cron, timezone, catchUp, jitter, overlap, title } = options;
    const known = await client.get<Workflow>(`/workflows/${encodeURIComponent(workflow)}`);
    const inputs = await readInputs(options, known.inputs as JsonObject);
    const made = await client.post<Schedule>("/v1/schedules", {
      workflow,
      cron,
      inputs,
      ...(timezone === undefined ? {} : { timezone }),
      ...(catchUp === undefined ? {} : { catch_up: catchUp }),
      ...(jitter === undefined ? {} : { jitter }),
      ...(overlap === undefined ? {} : { overlap }),
      ...(title === undefined ? {} : { title }),
    });
    terminal.result(made, () => `${made.id} starts ${made.workflow}${nextText(made)}`);
    await hintNobodyWorks(connection, terminal, common);
    return EXIT.ok;
  };
  return withConnection(common, make, { person: true });
}

function next({ common, terminal, options }: Call<{ readonly count: number }>, id: string): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const path = `/v1/schedules/${encodeURIComponent(id)}?next=${options.count}`;
    const found = await client.get<ScheduleDetail>(path);
    terminal.result(found, () => detailText(found));
    return EXIT.ok;
  });
}

function detailText(found: ScheduleDetail): string {
  const head = table([
    ["schedule", `${found.id} (${found.status}, from ${found.origin})`],
    ["workflow", found.workflow],
    ["when", `${found.cron} in ${found.timezone}`],
    ["rules", `catch_up ${found.catch_up}, overlap ${found.overlap}, jitter ${found.jitter_ms} ms`],
    ["inputs", oneLine(JSON.stringify(found.inputs), INPUTS_WIDTH)],
  ]);
  const ahead = found.next.map((one) => [localTime(one.start_at), `due ${one.due_at}`]);
  const firings = found.firings.map((one) => [
    localTime(one.due_at),
    one.state,
    one.run ?? "",
    one.detail ?? "",
  ]);
  const events = found.events.map((one) => [localTime(one.at), one.kind, `by ${one.by}`, one.detail ?? ""]);
  const part = (title: string, rows: readonly (readonly string[])[]) =>
    rows.length === 0 ? [] : [`${title}\n${table(rows)}`];
  return [head, ...part("next", ahead), ...part("fired", firings), ...part("changed", events)].join("\n\n");
}

function nextText({ next: [first] }: Pick<Schedule, "next">): string {
  return first === undefined ? "" : `; next at ${localTime(first.start_at)}`;
}
