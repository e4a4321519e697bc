import { fail, ok, type Result } from "../domain/errors.ts";

/** For whom something is asked. There are no accounts yet: a door says it, or it is nobody in particular. */
export interface Caller {
  readonly tenant: string;
  /** Who of the tenant; `null` when it is not said. */
  readonly principal: string | null;
}

export const DEFAULT_TENANT = "default";
export const ANYBODY: Caller = { tenant: DEFAULT_TENANT, principal: null };

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,99}$/;

/** `field` is what it is called where it was said. */
export function checkCallerName(field: string, name: string): Result<string> {
  if (NAME.test(name)) return ok(name);
  return fail(
    "invalid_request",
    `${field} is ${JSON.stringify(name.slice(0, 120))}; expected 1 to 100 letters, digits or _ . @ : - that begin with a letter or digit.`,
    { field },
  );
}
