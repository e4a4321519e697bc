import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Failure, failure } from "../domain/errors.ts";
import { ANYBODY, type Caller, callerNamed } from "../operations/caller.ts";
import { sendFailure } from "./errors.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** For whom this request is made. */
    caller: Caller;
  }
}

const TENANT_HEADER = "x-agent-runner-tenant";
const PRINCIPAL_HEADER = "x-agent-runner-principal";

/**
 * There are no accounts yet: a proxy in front may say by headers for whom it asks, if that was configured. Without it
 * the headers are refused, as anybody could write anything there and would believe it counts.
 */
export function identify(app: FastifyInstance, trusted: boolean): void {
  app.decorateRequest("caller", null as unknown as Caller);
  app.addHook("onRequest", async (request, reply) => {
    const caller = callerOf(request, trusted);
    if ("code" in caller) return sendFailure(request, reply, caller);
    request.caller = caller;
    return undefined;
  });
}

function callerOf({ headers }: FastifyRequest, trusted: boolean): Caller | Failure {
  const tenant = headers[TENANT_HEADER];
  const principal = headers[PRINCIPAL_HEADER];
  if (tenant === undefined && principal === undefined) return ANYBODY;
  if (!trusted) {
    const name = tenant === undefined ? PRINCIPAL_HEADER : TENANT_HEADER;
    return failure("identity_not_trusted", `header ${name} was sent, and this server does not believe it.`, {
      header: name,
    });
  }
  const named = callerNamed(
    { tenant: textOf(tenant), principal: textOf(principal) },
    { tenant: `header ${TENANT_HEADER}`, principal: `header ${PRINCIPAL_HEADER}` },
  );
  return named.ok ? named.value : named.failure;
}

/** A header that was sent twice is no name, and is refused as one. */
function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value;
}
