import { fail, ok, type Result } from "../domain/errors.ts";

/** For whom something is asked. There are no accounts yet: a door says it, or it is nobody in particular. */
export interface Caller {
  readonly tenant: string;
  /** Who of the tenant; `null` when it is not said. */
  readonly principal: string | null;
}

export const ANYBODY: Caller = { tenant: "default", principal: null };

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,99}$/;

/** Who was named; what is not said is as of anybody. `fields` are what they are called where they were said. */
export function callerNamed(
  { tenant, principal }: { readonly tenant?: string | undefined; readonly principal?: string | undefined },
  fields: { readonly tenant: string; readonly principal: string } = {
    tenant: "tenant",
    principal: "principal",
  },
): Result<Caller> {
  const one = checkName(fields.tenant, tenant ?? ANYBODY.tenant);
  if (!one.ok) return one;
  if (principal === undefined) return ok({ tenant: one.value, principal: null });
  const other = checkName(fields.principal, principal);
  return other.ok ? ok({ tenant: one.value, principal: other.value }) : other;
}

function checkName(field: string, name: string): Result<string> {
  if (NAME.test(name)) return ok(name);
  return fail(
    "invalid_request",
    `${field} is ${JSON.stringify(name.slice(0, 120))}; expected 1 to 100 letters, digits or _ . @ : - that begin with a letter or digit.`,
    { field },
  );
}
