import { setImmediate } from "node:timers/promises";
import { lintSource } from "@secretlint/core";
import { rules } from "@secretlint/secretlint-rule-preset-recommend";

export const SECRET_LIMITS = {
  /** Characters of added text that are looked through; a larger change is refused, not half scanned. */
  scannedChars: 33_554_432,
  findings: 50,
  pieceChars: 262_144,
  overlapLines: 100,
} as const;

export interface AddedText {
  readonly path: string;
  readonly lines: readonly { readonly line: number; readonly text: string }[];
}

/** Where a secret is, never what it is. */
export interface SecretFinding {
  readonly path: string;
  readonly line: number;
  readonly kind: string;
}

/** Comments that switch the scan off are for people; here an agent writes them. */
const LEFT_OUT = new Set(["@secretlint/secretlint-rule-filter-comments"]);

const VENDOR_RULES = rules
  .filter(({ meta }) => !LEFT_OUT.has(meta.id))
  .map((rule) => ({
    id: rule.meta.id,
    rule,
    options: rule.meta.id === "@secretlint/secretlint-rule-aws" ? { enableIDScanRule: true } : {},
  }));

/** Formats that the vendors' rules do not have. */
const SHAPES: readonly { readonly kind: string; readonly pattern: RegExp }[] = [
  { kind: "Google API key", pattern: /\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])/g },
  { kind: "Google OAuth client secret", pattern: /\bGOCSPX-[0-9A-Za-z_-]{28}(?![0-9A-Za-z_-])/g },
  { kind: "Telegram bot token", pattern: /\b\d{8,10}:AA[0-9A-Za-z_-]{33}(?![0-9A-Za-z_-])/g },
  { kind: "Hugging Face token", pattern: /\bhf_[A-Za-z0-9]{30,40}\b/g },
  { kind: "AWS access key", pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g },
  {
    kind: "JSON web token",
    pattern: /\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,2000}/g,
  },
];

const SECRET_NAME =
  "(?:api[_-]?key|secret|token|passw(?:or)?d|passphrase|credential|private[_-]?key|access[_-]?key|auth[_-]?key)";
/** `name = "value"` in any language; the value is judged afterwards. */
const ASSIGNMENT = new RegExp(
  `${SECRET_NAME}[\\w-]{0,24}["'\\]]{0,2}\\s{0,4}(?::=|=>|[:=])\\s{0,4}(["'\`])([^"'\`\\s]{16,200})\\1`,
  "gi",
);
/** The same without quotes, in files whose values have none. */
const BARE_ASSIGNMENT = new RegExp(
  `^\\s{0,60}(?:- |export )?[\\w.-]{0,40}${SECRET_NAME}[\\w.-]{0,24}\\s{0,4}[:=]\\s{0,4}([^\\s"'#;]{16,200})\\s*$`,
  "gi",
);
/** `scheme://user:password@host`; the password is judged afterwards. */
const ADDRESS = /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"']{1,100}:([^\s/@"']{16,200})@/gi;
const BARE_FILES =
  /(?:^|\/)[^/]*\.(?:env|ini|cfg|conf|properties|toml|ya?ml)(?:\.[^/]*)?$|(?:^|\/)\.env[^/]*$/i;

const PLACEHOLDER =
  /example|sample|placeholder|change[-_]?me|dummy|fake|your[-_]|redacted|xxxx|\*\*\*|\.\.\.|1234567|abcdef|<|>|\$\{|\{\{|%s/i;
/** Printed in every manual. */
const KNOWN_SAMPLE = /EXAMPLE|SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Bits a character: below it something repeats. 16 random hexadecimal digits have about 3.3. */
const MIN_ENTROPY_BITS = 3;
/** Characters between changes of case or kind, on average: chance has 1.5 to 2.5, names have 4 and more. */
const MAX_WORD_CHARS = 3;

/** Secrets in text that is about to be committed. Bounded; deterministic; other work goes on between pieces. */
export async function findSecrets(files: readonly AddedText[]): Promise<readonly SecretFinding[]> {
  const found = new Map<string, SecretFinding>();
  for (const piece of files.flatMap(pieces)) {
    for (const finding of [...ownFindings(piece), ...(await vendorFindings(piece))]) {
      const key = `${finding.path}:${finding.line}`;
      if (!found.has(key) && found.size < SECRET_LIMITS.findings) found.set(key, finding);
    }
    await setImmediate();
  }
  return [...found.values()].sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

/** Overlapping, so that a key of many lines is whole in one of them. */
function pieces({ path, lines }: AddedText): AddedText[] {
  const cut: AddedText[] = [];
  let start = 0;
  let chars = 0;
  for (let i = 0; i < lines.length; i += 1) {
    chars += lines[i]?.text.length ?? 0;
    if (chars < SECRET_LIMITS.pieceChars || i + 1 === lines.length) continue;
    cut.push({ path, lines: lines.slice(start, i + 1) });
    start = Math.max(start + 1, i + 1 - SECRET_LIMITS.overlapLines);
    chars = 0;
  }
  cut.push({ path, lines: lines.slice(start) });
  return cut;
}

async function vendorFindings({ path, lines }: AddedText): Promise<SecretFinding[]> {
  const content = lines.map(({ text }) => text).join("\n");
  const result = await lintSource({
    source: { filePath: path, content, contentType: "text", ext: path.slice(path.lastIndexOf(".")) },
    options: { config: { rules: VENDOR_RULES }, maskSecrets: true },
  });
  return result.messages
    .filter(({ range }) => !isHarmlessAddress(content.slice(range[0], range[1])))
    .map((message) => ({
      path,
      line: lines[message.loc.start.line - 1]?.line ?? 0,
      kind: kindOf(message.ruleId, message.messageId),
    }));
}

/** `@secretlint/secretlint-rule-github`, `GITHUB_TOKEN` → "github token". */
function kindOf(rule: string, message: string): string {
  const vendor = rule.slice(rule.lastIndexOf("rule-") + "rule-".length);
  const words = message
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
  return words.includes(vendor) ? words : `${vendor}: ${words}`;
}

/** `https://user:password@localhost`: an address to show, not one to enter by. */
function isHarmlessAddress(text: string): boolean {
  const parts = /^[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:([^\s@]*)@([^\s/:?#]*)/i.exec(text);
  if (parts === null) return false;
  const [, password = "", host = ""] = parts;
  if (
    /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|.*\.(?:local|test|invalid|example)|(?:.*\.)?example\.(?:com|org|net))$/i.test(
      host,
    )
  ) {
    return true;
  }
  return (
    PLACEHOLDER.test(password) ||
    /^(?:pass(?:word)?|secret|pw|pwd|token|user(?:name)?|root|postgres|admin|guest)$/i.test(password)
  );
}

function ownFindings({ path, lines }: AddedText): SecretFinding[] {
  const findings: SecretFinding[] = [];
  const bare = BARE_FILES.test(path);
  for (const { line, text } of lines) {
    for (const { kind, pattern } of SHAPES) {
      if ([...text.matchAll(pattern)].some(([match]) => !KNOWN_SAMPLE.test(match)))
        findings.push({ path, line, kind });
    }
    const values = [...text.matchAll(ASSIGNMENT)].map((match) => match[2] ?? "");
    values.push(...[...text.matchAll(ADDRESS)].map((match) => match[1] ?? ""));
    if (bare) values.push(...[...text.matchAll(BARE_ASSIGNMENT)].map((match) => match[1] ?? ""));
    if (values.some(looksSecret)) findings.push({ path, line, kind: "a value that looks like a secret" });
  }
  return findings;
}

/** Random-looking: letters and digits in quick change, no words, no path, no placeholder, no reference to somewhere else. */
function looksSecret(value: string): boolean {
  if (PLACEHOLDER.test(value) || UUID.test(value) || !/^[A-Za-z0-9+/_=.!@#$%^&*~-]+$/.test(value))
    return false;
  if (/^[a-z]+:\/\/|^[./~$]|\.\w+\(|^(?:process|os|env|config|secrets|vars?)\b/i.test(value)) return false;
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value)) return false;
  const words = value.match(/[vV]\d+|[A-Z]?[a-z]+|[A-Z]+|\d+/g) ?? [];
  const letters = words.reduce((sum, word) => sum + word.length, 0);
  return letters / words.length < MAX_WORD_CHARS && entropyBits(value) >= MIN_ENTROPY_BITS;
}

/** Shannon entropy, bits a character. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const n of counts.values()) bits -= (n / text.length) * Math.log2(n / text.length);
  return bits;
}
