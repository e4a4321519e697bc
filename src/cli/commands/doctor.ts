import type { Check } from "../../app/doctor.ts";
import type { Call, Cli } from "../command.ts";
import { configOf, quietly } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { here } from "../here.ts";
import { runningServer } from "../server-file.ts";
import type { Terminal } from "../terminal.ts";
import { plain } from "../text.ts";

const NAME_WIDTH = 24;
const MARKS = { ok: ["green", "✓"], warn: ["yellow", "!"], fail: ["red", "✗"] } as const;

export function addDoctor({ program, act }: Cli): void {
  program
    .command("doctor")
    .description(
      "check whether everything that is needed is here; changes nothing, exit code 1 if anything fails",
    )
    .action(act(doctor));
}

async function doctor({ common, terminal }: Call<object>): Promise<number> {
  const config = configOf(common, quietly());
  const { diagnose } = await import("../../app/doctor.ts");
  const checks: Check[] = [];
  const add = (check: Check) => {
    checks.push(check);
    if (!terminal.json) process.stdout.write(`${lineOf(terminal, check)}\n`);
  };
  for await (const check of diagnose(config, here())) add(check);
  const server = await runningServer(config.dataDir);
  const detail =
    server === null ? "none on this data folder; commands work without" : `${server.url}, pid ${server.pid}`;
  add({ name: "server", status: "ok", detail, remedy: null });
  const failed = checks.filter(({ status }) => status === "fail").length;
  const warned = checks.filter(({ status }) => status === "warn").length;
  const verdict = failed > 0 ? `${failed} failed` : warned > 0 ? "works, with remarks" : "all well";
  terminal.result({ ok: failed === 0, checks }, () => `\n${verdict}`);
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

function lineOf(terminal: Terminal, { name, status, detail, remedy }: Check): string {
  const [style, mark] = MARKS[status];
  const head = `${terminal.style(style, mark)} ${name.padEnd(NAME_WIDTH)} ${plain(detail)}`;
  if (remedy === null || status === "ok") return head;
  return `${head}\n${" ".repeat(NAME_WIDTH + 3)}${terminal.style("dim", remedy)}`;
}
