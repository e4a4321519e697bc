import { userInfo } from "node:os";

const LONGEST = 100;

/**
 * Who types the command, as the API takes names: the account on this machine. `null` when it has none that can be told,
 * as in some containers.
 */
export function personHere(env: Readonly<Record<string, string | undefined>> = process.env): string | null {
  return asName(env.USER || env.LOGNAME || env.USERNAME || accountName());
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // A process may run under a number that no account has.
    return "";
  }
}

/** What is not part of a name becomes a dash: `CORP\Ada Lovelace` is `CORP-Ada-Lovelace`. */
export function asName(text: string): string | null {
  const name = text
    .replace(/[^A-Za-z0-9_.@:-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .replace(/-+$/, "")
    .slice(0, LONGEST);
  return name === "" ? null : name;
}
