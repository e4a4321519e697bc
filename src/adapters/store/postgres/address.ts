import { FailureError, failure } from "../../../domain/errors.ts";

/** A `postgres://` address, checked. Throws `invalid_config`, without the password. */
export function checkAddress(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    const message = "the database address is not of the form postgres://user:password@host:5432/database";
    throw new FailureError(failure("invalid_config", message));
  }
  return parsed;
}

/** The address as people may see it: no password, no parameters. */
export function shownAddress(url: string): string {
  const parsed = checkAddress(url);
  const user = parsed.username === "" ? "" : `${parsed.username}@`;
  return `${parsed.protocol}//${user}${parsed.host}${parsed.pathname}`;
}
