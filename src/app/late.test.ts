import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { startPostgres, type TestPostgres } from "../../tests/support/postgres.ts";
import { until } from "../../tests/support/until.ts";
import { defineAction } from "../engine/steps/define-action.ts";
import { scrape } from "../operations/metrics/scrape.ts";
import { openRunner } from "./runner.ts";

const folder = mkdtempSync(join(tmpdir(), "late-"));
let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const flow = (name: string, more: string) => `name: ${name}
version: "1"
description: One step.
${more}steps:
  - id: hold
    uses: hold
`;

it.each([{ kind: "SQLite" }, { kind: "PostgreSQL" }])(
  "what cannot begin in time ends within seconds although all workers are busy, or none can do it ($kind)",
  async ({ kind }) => {
    let release = () => {};
    let began = 0;
    const held = new Promise<void>((go) => {
      release = go;
    });
    const hold = defineAction({
      name: "hold",
      description: "Waits to be let go.",
      input: z.object({}),
      output: z.null(),
      perform: async () => {
        began += 1;
        await held;
        return null;
      },
    });
    const address = kind === "SQLite" ? {} : { DATABASE_URL: await server.database() };
    const env = { AGENT_RUNNER_LOG: "silent", AGENT_RUNNER_SLOTS: "1", ...address };
    const runner = await openRunner({ dataDir: join(folder, kind), env, actions: [hold] });
    try {
      await runner.addWorkflow(flow("plain", ""));
      await runner.addWorkflow(flow("rare", "runs_on: [quantum]\n"));
      const busy = await runner.start("plain", {});
      await until("the only slot to be taken", () => (began === 1 ? true : null));
      const late = [
        await runner.start("plain", {}, { startBy: "300ms" }),
        await runner.start("rare", {}, { startBy: "300ms" }),
        await runner.start("rare", {}, { deadline: "400ms" }),
      ];
      const ended = await Promise.all(late.map(({ id }) => runner.wait(id)));
      expect(ended.map(({ status, failure }) => [status, failure?.code])).toEqual([
        ["failed", "start_by_missed"],
        ["failed", "start_by_missed"],
        ["failed", "deadline_exceeded"],
      ]);
      expect(began).toBe(1);
      const scraped = await scrape(runner.house.operations);
      const figures = scraped.ok ? scraped.value.body : scraped.failure.message;
      expect(figures).toMatch(/sla_breaches_total\{[^}]*what="start_by"[^}]*\} 2/);
      expect(figures).toMatch(/runs_ended_total\{[^}]*code="start_by_missed"[^}]*\} 2/);
      release();
      expect((await runner.wait(busy.id)).status).toBe("completed");
    } finally {
      release();
      await runner.close();
    }
  },
);
