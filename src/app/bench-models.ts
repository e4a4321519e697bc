import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseBenchTasks } from "../adapters/definitions/bench-task-file.ts";
import { nodeTrier } from "../adapters/trial/node-trier.ts";
import type { BenchTask } from "../contracts/model-bench.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { type BenchRequest, benchModels } from "../operations/bench/bench-models.ts";
import { type BenchReport, benchReport } from "../operations/bench/report.ts";
import type { Config } from "./config.ts";
import { createModels } from "./models.ts";
import { redactorFor } from "./redact.ts";
import { systemClock } from "./system-clock.ts";
import { productVersion } from "./version.ts";

const MAX_TASK_FILES = 100;

/** Compares models on tasks, without the rest of the house: nothing is stored. */
export async function runModelBench(config: Config, request: BenchRequest): Promise<BenchReport> {
  const models = request.models.join(",");
  const gateway = await createModels(
    { ...config, model: models, stageModels: {} },
    { clock: systemClock, random: Math.random, providers: [], redactor: redactorFor(config.env) },
  );
  for (const model of request.models) {
    const resolved = gateway.resolve(model, "execute");
    if (!resolved.ok) throw new FailureError(resolved.failure);
  }
  const startedAt = new Date(systemClock.now()).toISOString();
  const result = await benchModels(
    { gateway, clock: systemClock, trier: nodeTrier({ environment: config.env }) },
    request,
  );
  const { tasks, repeat } = request;
  return benchReport(result, { startedAt, version: productVersion(), models: request.models, repeat, tasks });
}

/** Every `*.yaml` in a folder, by name. Fails with `invalid_bench_task`. */
export async function readBenchTasks(folder: string): Promise<readonly BenchTask[]> {
  const refuse = (why: string) => new FailureError(failure("invalid_bench_task", `${folder} ${why}`));
  const names = await readdir(folder).catch((error: Error) => {
    throw refuse(`cannot be read: ${error.message}`);
  });
  const files = names.filter((name) => /\.ya?ml$/.test(name)).toSorted();
  if (files.length === 0) throw refuse("holds no task files (*.yaml)");
  if (files.length > MAX_TASK_FILES)
    throw refuse(`holds ${files.length} task files; at most ${MAX_TASK_FILES}`);
  const tasks: BenchTask[] = [];
  for (const name of files) {
    const path = join(folder, name);
    const parsed = parseBenchTasks(await readFile(path, "utf8"), path);
    if (!parsed.ok) throw new FailureError(parsed.failure);
    tasks.push(...parsed.value);
  }
  const twin = tasks.find((task, index) => tasks.findIndex((other) => other.id === task.id) !== index);
  if (twin !== undefined)
    throw refuse(`holds two tasks with the id "${twin.id}"; the report tells them by it`);
  return tasks;
}
