import { refuse } from "./failures.ts";

interface Entry {
  readonly scope: string;
  readonly key: string;
  readonly value: string;
}

interface Rule {
  readonly pattern: RegExp;
  /** What the key is set to when neither the system's nor the user's own configuration has it. */
  readonly neutral: string;
  /** Keys that hold a list: an empty value clears it, then the protected ones are added again. */
  readonly list?: boolean;
}

/**
 * Every setting that makes git start a program and can be reached by what we call. The repository's own
 * configuration can be written by whoever works in it, an agent's shell included; that of the system and of
 * the user cannot (git calls these "protected configuration"). So these keys count only from there.
 */
const RULES: readonly Rule[] = [
  { pattern: /^filter\..*\.(?:clean|smudge|process)$/s, neutral: "" },
  { pattern: /^filter\..*\.required$/s, neutral: "false" },
  { pattern: /^merge\..*\.driver$/s, neutral: "false" },
  { pattern: /^diff\..*\.(?:command|textconv)$/s, neutral: "" },
  { pattern: /^diff\.external$/, neutral: "" },
  { pattern: /^credential\.(?:.*\.)?helper$/s, neutral: "", list: true },
  { pattern: /^core\.(?:askpass|alternaterefscommand)$/, neutral: "" },
  { pattern: /^core\.sshcommand$/, neutral: "ssh -oBatchMode=yes" },
  { pattern: /^remote\..*\.mirror$/s, neutral: "false" },
  { pattern: /^push\.pushoption$/, neutral: "", list: true },
];

/** Set on every call, so that ssh never waits for an answer; the operator's own command wins. */
const ALWAYS = ["core.sshcommand", "core.askpass"];

export interface RepositoryConfig {
  /** `-c` arguments that take back what the repository's own configuration may not decide. */
  readonly overrides: readonly string[];
  /** Beginnings of addresses that the repository's own configuration rewrites. */
  readonly rewrites: readonly string[];
}

/** Reads `git config --show-scope -z --list`. */
export function guardConfig(listing: string): RepositoryConfig {
  const entries = parse(listing);
  const ours = entries.filter(({ scope }) => scope === "local" || scope === "worktree");
  const keys = new Set([...ALWAYS, ...ours.map(({ key }) => key)]);
  const overrides: string[] = [];
  for (const key of keys) {
    const rule = RULES.find(({ pattern }) => pattern.test(key));
    if (rule === undefined) continue;
    if (key.includes("=")) {
      refuse("git_failed", `The repository's configuration has "${key}", a name that cannot be overridden.`);
    }
    const trusted = entries.filter((e) => e.key === key && (e.scope === "system" || e.scope === "global"));
    const values = trusted.map(({ value }) => value);
    const kept = rule.list ? [rule.neutral, ...values] : [values.at(-1) ?? rule.neutral];
    for (const value of kept) overrides.push("-c", `${key}=${value}`);
  }
  const rewrites = ours
    .filter(({ key }) => /^url\..*\.(?:push)?insteadof$/s.test(key))
    .map(({ value }) => value);
  return { overrides, rewrites };
}

function parse(listing: string): Entry[] {
  const fields = listing.split("\0");
  const entries: Entry[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const scope = fields[i] ?? "";
    const setting = fields[i + 1] ?? "";
    const end = setting.indexOf("\n");
    const key = end === -1 ? setting : setting.slice(0, end);
    // A key without a value is git's short form of `true`.
    entries.push({ scope, key, value: end === -1 ? "true" : setting.slice(end + 1) });
  }
  return entries;
}
