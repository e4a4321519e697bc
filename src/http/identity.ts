import { timingSafeEqual } from "node:crypto";
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
const KEY_HEADER = "x-agent-runner-key";
const KEY_BYTES = 1_024;

export interface Trust {
  /** Whoever sends the headers is believed. */
  readonly everybody: boolean;
  /** Whoever sends this too is believed; `null` when nobody is for that. */
  readonly key: string | null;
}

/**
 * There are no accounts yet: a proxy in front may say by headers for whom it asks, if that was configured. Without it
 * the headers are refused, as anybody could write anything there and would believe it counts; but not those of somebody
 * who knows this server's key, which only those know who may read its data folder.
 */
export function identify(app: FastifyInstance, trust: Trust): void {
  app.decorateRequest("caller", null as unknown as Caller);
  app.addHook("onRequest", async (request, reply) => {
    const caller = callerOf(request, trust);
    if ("code" in caller) return sendFailure(request, reply, caller);
    request.caller = caller;
    return undefined;
  });
}

/** Who did it, as it is kept with what was done. */
export function doerOf({ caller }: Pick<FastifyRequest, "caller">): string {
  return caller.principal ?? NOBODY_NAMED;
}

/** What stands for somebody who came by this door without a name. */
const NOBODY_NAMED = "api";

function isKey(given: string | string[] | undefined, key: string | null): boolean {
  if (typeof given !== "string" || key === null) return false;
  const padded = (text: string) => Buffer.alloc(KEY_BYTES, text);
  return given.length === key.length && timingSafeEqual(padded(given), padded(key));
}

function callerOf({ headers }: FastifyRequest, { everybody, key }: Trust): Caller | Failure {
  const tenant = headers[TENANT_HEADER];
  const principal = headers[PRINCIPAL_HEADER];
  if (tenant === undefined && principal === undefined) return ANYBODY;
  if (!everybody && !isKey(headers[KEY_HEADER], key)) {
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
