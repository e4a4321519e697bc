import { FailureError, failure } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Approval, ApprovalPage } from "../../http/api.ts";
import { type Call, type Cli, wholeNumber } from "../command.ts";
import type { Connection } from "../connect.ts";
import { EXIT } from "../exit.ts";
import { describeApproval } from "../follow.ts";
import { commandLine } from "../here.ts";
import type { Terminal } from "../terminal.ts";
import { localTime, plain } from "../text.ts";
import { hintNobodyWorks, withConnection } from "../with-connection.ts";

const SHOWN = 50;
const ANSWERS: Readonly<Record<string, "approved" | "denied" | undefined>> = {
  approve: "approved",
  approved: "approved",
  deny: "denied",
  denied: "denied",
};

interface Options {
  readonly all?: boolean;
  readonly run?: string;
  readonly limit: number;
  readonly after?: string;
}

export function addApprovals({ program, act }: Cli): void {
  program
    .command("approvals")
    .description("what waits for a person's answer")
    .option("--all", "also what has been answered")
    .option("--run <run>", "only of this run")
    .option("--limit <n>", "how many", wholeNumber(1, LIMITS.pageSize), SHOWN)
    .option("--after <approval>", "the next page")
    .action(act(approvals));
  program
    .command("answer <approval> <approve|deny>")
    .description("answer an approval, once")
    .option("--comment <text>", "why; the run and its readers see it")
    .action(act(answer));
}

function approvals({ options, common, terminal }: Call<Options>): Promise<number> {
  return withConnection(common, async ({ client }) => {
    const query = new URLSearchParams({ limit: String(options.limit) });
    if (!options.all) query.set("status", "pending");
    if (options.run !== undefined) query.set("run", options.run);
    if (options.after !== undefined) query.set("after", options.after);
    const page = await client.get<ApprovalPage>(`/approvals?${query}`);
    const none = options.all ? "no approvals" : "nothing waits for an answer";
    const command = commandLine(common);
    terminal.result(page, () =>
      page.approvals.length === 0
        ? none
        : page.approvals.map((approval) => approvalText(terminal, approval, command)).join("\n\n"),
    );
    if (page.next_after !== null) terminal.say(`More with: ${command} approvals --after ${page.next_after}`);
    return EXIT.ok;
  });
}

function approvalText(terminal: Terminal, approval: Approval, command: string): string {
  const head = `${terminal.style("bold", approval.id)}  ${approval.run}  ${approval.step}  ${approval.status}`;
  const until = approval.expires_at === null ? "" : `, expires ${localTime(approval.expires_at)}`;
  const asked = `asked ${localTime(approval.requested_at)}${until}`;
  const by = approval.answered_by === null ? "" : `\n${approval.status} by ${plain(approval.answered_by)}`;
  const comment = approval.comment ? `: ${plain(approval.comment)}` : "";
  const how = approval.status === "pending" ? `\n  ${command} answer ${approval.id} approve (or deny)` : "";
  return `${head}\n${terminal.style("dim", asked)}\n${describeApproval(terminal, approval)}${by}${comment}${how}`;
}

function answer(call: Call<{ readonly comment?: string }>, approval: string, said: string): Promise<number> {
  const { common, terminal } = call;
  const given = ANSWERS[said.toLowerCase()];
  if (given === undefined) {
    const message = `the answer is ${JSON.stringify(said)}; expected approve or deny`;
    throw new FailureError(failure("invalid_usage", message));
  }
  const say = async (connection: Connection) => {
    const { comment } = call.options;
    const answered = await connection.client.post<Approval>(
      `/approvals/${encodeURIComponent(approval)}/answer`,
      {
        answer: given,
        ...(comment === undefined ? {} : { comment }),
      },
    );
    terminal.result(answered, () => `${answered.id} ${answered.status}`);
    await hintNobodyWorks(connection, terminal, common);
    return EXIT.ok;
  };
  return withConnection(common, say, { person: true });
}
