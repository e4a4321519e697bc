import { setImmediate } from "node:timers/promises";
import { lintSource } from "@secretlint/core";
import { rules } from "@secretlint/secretlint-rule-preset-recommend";
import {
  ASSIGNMENT,
  BARE_ASSIGNMENT,
  isHarmlessPassword,
  looksSecret,
  VENDOR_SHAPES,
} from "../../../domain/secret-shapes.ts";

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

/** `scheme://user:password@host`; the password is judged afterwards. */
const ADDRESS = /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"']{1,100}:([^\s/@"']{16,200})@/gi;
const BARE_FILES =
  /(?:^|\/)[^/]*\.(?:env|ini|cfg|conf|properties|toml|ya?ml)(?:\.[^/]*)?$|(?:^|\/)\.env[^/]*$/i;

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
  return isHarmlessPassword(password, host);
}

function ownFindings({ path, lines }: AddedText): SecretFinding[] {
  const findings: SecretFinding[] = [];
  const bare = BARE_FILES.test(path);
  for (const { line, text } of lines) {
    for (const { kind, pattern, isOne } of VENDOR_SHAPES) {
      const isFound = ([match, host = ""]: RegExpMatchArray) => isOne === undefined || isOne(match, host);
      if ([...text.matchAll(pattern)].some(isFound))
        findings.push({ path, line, kind: kind.replaceAll("-", " ") });
    }
    const values = [...text.matchAll(ASSIGNMENT)].map((match) => match[2] ?? "");
    values.push(...[...text.matchAll(ADDRESS)].map((match) => match[1] ?? ""));
    if (bare) values.push(...[...text.matchAll(BARE_ASSIGNMENT)].map((match) => match[1] ?? ""));
    if (values.some(looksSecret)) findings.push({ path, line, kind: "a value that looks like a secret" });
  }
  return findings;
}
