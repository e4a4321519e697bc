import type { Clock } from "../../../base/clock.ts";
import { isJsonObject, type JsonObject } from "../../../base/json.ts";
import type { ModelProvider } from "../../../contracts/model-provider.ts";
import { classifyThrown } from "./classify.ts";
import type { Dialect } from "./dialect.ts";
import { generate } from "./generate.ts";
import { SdkModels } from "./sdk-models.ts";
import { DEFAULT_WIRE_LIMITS, type WireLimits } from "./wire.ts";

const LIST_TIMEOUT_MS = 5_000;
const MAX_LIST_CHARS = 4_194_304;

export interface AiSdkDependencies {
  readonly clock: Clock;
  readonly limits?: Partial<WireLimits>;
}

/** A provider from what is its own; streaming, errors, usage and messages are shared by all. */
export function aiSdkProvider(dialect: Dialect, dependencies: AiSdkDependencies): ModelProvider {
  const around = {
    clock: dependencies.clock,
    limits: { ...DEFAULT_WIRE_LIMITS, ...dependencies.limits },
    models: new SdkModels(dialect),
  };
  return {
    name: dialect.name,
    generate: (request, options) => generate(dialect, around, { request, options }),
    health: async (signal) => {
      const listed = await list(dialect, dependencies.clock, signal);
      if (!listed.ok) return { status: "failing", detail: listed.why };
      return { status: "ok", detail: `answers at ${new URL(dialect.list.url).origin}` };
    },
    models: async (signal) => {
      const listed = await list(dialect, dependencies.clock, signal);
      return listed.ok ? dialect.list.names(listed.body) : [];
    },
  };
}

type Listed = { readonly ok: true; readonly body: JsonObject } | { readonly ok: false; readonly why: string };

async function list(dialect: Dialect, clock: Clock, signal: AbortSignal): Promise<Listed> {
  const limit = new AbortController();
  const cancel = clock.after(LIST_TIMEOUT_MS, () => limit.abort());
  try {
    const response = await fetch(dialect.list.url, {
      headers: { ...dialect.list.headers },
      signal: AbortSignal.any([signal, limit.signal]),
    });
    const text = (await response.text()).slice(0, MAX_LIST_CHARS);
    if (!response.ok) return { ok: false, why: refusal(response.status) };
    const body: unknown = JSON.parse(text);
    return isJsonObject(body)
      ? { ok: true, body }
      : { ok: false, why: "answered something that is no list of models" };
  } catch (error) {
    if (limit.signal.aborted) return { ok: false, why: `did not answer within ${LIST_TIMEOUT_MS} ms` };
    if (error instanceof SyntaxError) return { ok: false, why: "answered something that is not JSON" };
    const context = { name: dialect.name, now: clock.now(), secrets: dialect.secrets, responded: false };
    return { ok: false, why: classifyThrown(error, context).failure.message };
  } finally {
    cancel();
  }
}

function refusal(status: number): string {
  return status === 401 || status === 403 ? `refused the API key (${status})` : `answered ${status}`;
}
