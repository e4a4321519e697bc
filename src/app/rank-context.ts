import { join } from "node:path";
import { createRepoContexts } from "../adapters/context/repo-contexts.ts";
import type { ContextRequest, RepoContext } from "../contracts/repo-context.ts";
import type { Result } from "../domain/errors.ts";
import type { Config } from "./config.ts";
import { systemClock } from "./system-clock.ts";

/** Ranks a repository for a task without the rest of the house; its cache is the house's. */
export async function rankContext(config: Config, request: ContextRequest): Promise<Result<RepoContext>> {
  const contexts = createRepoContexts({
    cacheDir: join(config.dataDir, "cache"),
    environment: process.env,
    now: () => systemClock.now(),
  });
  try {
    return await contexts.rank(request);
  } finally {
    await contexts.close();
  }
}
