import type { ModelGateway } from "../../contracts/model-gateway.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

export type ProviderView = Awaited<ReturnType<ModelGateway["providers"]>>[number];

/** The configured providers, each asked how it is; what has not answered within `LIMITS.healthCheckMs` is told to stop. */
export function listProviders(
  parts: Pick<Parts, "gateway" | "clock">,
): Promise<Result<readonly ProviderView[]>> {
  return asResult(async () => {
    const controller = new AbortController();
    const cancel = parts.clock.after(LIMITS.healthCheckMs, () => controller.abort());
    try {
      return ok(await parts.gateway.providers(controller.signal));
    } finally {
      cancel();
    }
  });
}
